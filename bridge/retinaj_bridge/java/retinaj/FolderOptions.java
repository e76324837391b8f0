package retinaj;

import java.util.Arrays;
import java.util.List;

/** What "RetinaJ Detect in folder..." searches, with what, and where the results go: checked, from a macro or the dialog. */
final class FolderOptions {
    static final String USAGE = "run(\"" + DetectFolder.COMMAND
            + "\", \"model=[/path/of/the/model] images=[/folder/of/images] output=[/folder/to/make] threshold=0.40\")";

    // No name is the end of another: ImageJ's own functions find an option by the end of its name.
    private static final List<String> VALUES = Arrays.asList("model", "images", "output", "threshold", "overlap");
    private static final List<String> FLAGS = Arrays.asList("show");

    /** A model folder or a package. */
    final String model;
    /** The folder of the images. */
    final String images;
    /** The folder to make, or that of an interrupted run. */
    final String output;
    /** The lowest score that is kept. */
    final double threshold;
    /** NMS drops the lower-scored of two boxes of a class whose IoU is above it; NaN for the model's own. */
    final double overlap;
    /** Open the contact sheet at the end. */
    final boolean show;

    /** @throws RetinaJException quoting the first option that is missing or wrong */
    FolderOptions(MacroOptions given) throws RetinaJException {
        model = given.path("model");
        images = given.path("images");
        output = given.path("output");
        String[][] needed = {{model, "model", "a model folder or a package"}, {images, "images", "the folder of the images"},
            {output, "output", "a folder to make for the results"}};
        for (String[] each : needed) {
            if (each[0].isEmpty()) {
                throw new RetinaJException("The option " + each[1] + " is missing; name " + each[2] + ", as in " + USAGE + ".");
            }
        }
        threshold = given.fraction("threshold", Build.THRESHOLD);
        overlap = given.fraction("overlap", Double.NaN);
        show = given.has("show");
    }

    /** The options of the macro or script that called. */
    static FolderOptions ofMacro() throws RetinaJException {
        return new FolderOptions(MacroOptions.ofMacro(DetectFolder.COMMAND, VALUES, FLAGS, USAGE));
    }

    /** Lets the recorder write them. */
    void record() {
        new MacroOptions()
                .put("model", model)
                .put("images", images)
                .put("output", output)
                .put("threshold", MacroOptions.number(threshold))
                .put("overlap", Double.isNaN(overlap) ? "" : MacroOptions.number(overlap))
                .flag("show", show)
                .record(DetectFolder.COMMAND, "model", "images", "output");
    }
}
