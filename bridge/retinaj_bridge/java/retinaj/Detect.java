package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.plugin.PlugIn;
import java.io.File;

/** The command "RetinaJ Detect...": finds objects on the active image. */
public final class Detect implements PlugIn {
    static final String COMMAND = "RetinaJ Detect...";

    @Override
    public void run(String argument) {
        Failure.guard(COMMAND, Detect::detect);
    }

    private static void detect() throws RetinaJException, CanceledException {
        if (!Failure.asks()) {
            detect(activeImage(), DetectOptions.ofMacro());
            return;
        }
        ImagePlus image = activeImage();
        DetectOptions options = DetectDialog.ask(image);
        options.record();
        detect(image, options);
    }

    private static ImagePlus activeImage() throws RetinaJException {
        ImagePlus image = WindowManager.getCurrentImage();
        if (image == null) {
            throw new RetinaJException("There is no image open; open the image to search, then run " + COMMAND + " again.");
        }
        return image;
    }

    private static void detect(ImagePlus image, DetectOptions options) throws RetinaJException, CanceledException {
        if (options.outputs.contains(DetectOptions.Output.ZIP)) {
            RoiSetFile.requireAbsent(new File(options.file)); // before the work, not after it
        }
        // Keeps other commands from changing the image meanwhile, as ImageJ's own commands do.
        if (!image.lockSilently()) {
            throw new RetinaJException(
                    "The image " + image.getTitle() + " is in use by another command; wait until it is done.");
        }
        Detections found;
        try {
            found = Search.run(image, options, new StatusBar());
            Outputs.put(found, image, options);
        } finally {
            image.unlock();
            IJ.showProgress(1.0);
        }
        // What a macro may want to know of the run: getInfo("retinaj.classes") gives the model's classes, one a line.
        System.setProperty("retinaj.classes", String.join("\n", found.classes));
        boolean full = !found.limitWords.isEmpty();
        if (full) { // in the Log window: a dialog would stop a macro
            String place = found.planes.size() > 1 ? "on some planes of " : "on ";
            IJ.log("RetinaJ: " + place + image.getTitle() + " there are " + found.limitWords + ".");
        }
        IJ.showStatus("RetinaJ: " + found.boxes.size() + " objects"
                + (full ? ", as many as the model can give; see the Log window" : ""));
    }
}
