package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.plugin.PlugIn;
import java.io.File;

/** The command "RetinaJ Detect in folder...": every image of a folder, into files in another. */
public final class DetectFolder implements PlugIn {
    static final String COMMAND = "RetinaJ Detect in folder...";

    @Override
    public void run(String argument) {
        Failure.guard(COMMAND, DetectFolder::detect);
    }

    private static void detect() throws RetinaJException, CanceledException {
        FolderOptions options;
        if (Failure.asks()) {
            options = FolderDialog.ask();
            options.record();
        } else {
            options = FolderOptions.ofMacro();
        }
        StatusBar progress = new StatusBar();
        Message answer;
        try (Worker worker = Worker.connect(progress)) {
            answer = worker.call("folder", request(options), progress);
        } catch (CanceledException error) {
            IJ.log("RetinaJ: stopped. The finished images are in " + options.output
                    + "; the same command with the same options goes on from there.");
            throw error;
        } finally {
            IJ.showProgress(1.0);
        }
        for (String warning : answer.texts("warnings")) { // in the Log window: a dialog would stop a macro
            IJ.log("RetinaJ: " + warning);
        }
        IJ.log("RetinaJ: " + answer.text("summary"));
        IJ.showStatus("RetinaJ: " + answer.text("boxes") + " boxes on " + answer.text("images") + " images");
        // What a macro may want to know of the run: getInfo("retinaj.counts") is the path of the table of counts.
        for (String table : new String[] {"counts", "detections", "sheet"}) {
            System.setProperty("retinaj." + table, answer.text(table));
        }
        if (options.show && !answer.text("sheet").isEmpty()) {
            show(answer.text("sheet"));
        }
    }

    private static Message request(FolderOptions options) {
        return new Message()
                .put("model", options.model)
                .put("source", options.images)
                .put("output", options.output)
                .put("threshold", String.valueOf(options.threshold))
                .put("overlap", Double.isNaN(options.overlap) ? "" : String.valueOf(options.overlap));
    }

    /** Without a display, the image is only made current, as a macro's are. */
    private static void show(String path) throws RetinaJException {
        ImagePlus sheet = IJ.openImage(path);
        if (sheet == null) {
            throw new RetinaJException("The contact sheet " + new File(path).getName() + " was made, but ImageJ cannot open it.");
        }
        sheet.show();
    }
}
