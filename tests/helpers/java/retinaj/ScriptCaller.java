package retinaj;

import ij.IJ;
import ij.ImageJ;
import ij.ImagePlus;
import ij.gui.Roi;
import ij.plugin.frame.RoiManager;

/** What a script in Fiji's editor does: `ScriptCaller IMAGE OPTIONS` detects, prints the entries, and how a failure reaches it. */
public final class ScriptCaller {
    private ScriptCaller() {}

    public static void main(String[] arguments) {
        new ImageJ(ImageJ.NO_SHOW);
        ImagePlus image = IJ.openImage(arguments[0]);
        image.show();
        IJ.run(image, "RetinaJ Detect...", arguments[1]);
        for (Roi roi : RoiManager.getInstance().getRoisAsArray()) {
            System.out.println(roi.getName() + " " + roi.getProperty("class"));
        }
        try {
            IJ.run(image, "RetinaJ Detect...", "model=/no/such/model");
            System.out.println("GONE ON");
        } catch (RuntimeException error) {
            System.out.println("CAUGHT " + error.getMessage());
        }
        System.exit(0);
    }
}
