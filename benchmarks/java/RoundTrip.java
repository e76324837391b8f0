import ij.ImagePlus;
import ij.Macro;
import ij.WindowManager;
import ij.io.Opener;
import ij.plugin.frame.RoiManager;

/**
 * Runs "RetinaJ Detect..." in an ImageJ that stands alone: `RoundTrip IMAGE OPTIONS REPEATS` prints the milliseconds of each run,
 * from the command to the boxes in the ROI Manager, and how many there are.
 */
public final class RoundTrip {
    private RoundTrip() {}

    /** See the class. */
    public static void main(String[] arguments) throws Exception {
        ImagePlus image = new Opener().openImage(arguments[0]);
        WindowManager.setTempCurrentImage(image);
        // As IJ.run does, which needs menus, and so a display.
        Thread.currentThread().setName("Run$_benchmark");
        for (int at = 0; at < Integer.parseInt(arguments[2]); at++) {
            long started = System.nanoTime();
            Macro.setOptions(arguments[1]);
            new retinaj.Detect().run("");
            double milliseconds = (System.nanoTime() - started) / 1e6;
            System.out.println(milliseconds + " " + RoiManager.getInstance2().getCount());
        }
        System.exit(0); // ImageJ's threads would keep it alive
    }
}
