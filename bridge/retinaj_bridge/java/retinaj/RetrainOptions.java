package retinaj;

import ij.Prefs;
import java.util.Arrays;
import java.util.List;

/** What "RetinaJ Correct and retrain..." learns from, and how long: checked, from a macro or the dialog. */
final class RetrainOptions {
    static final String USAGE = "run(\"" + Retrain.COMMAND
            + "\", \"model=[/path/of/the/model] dataset=[/folder/of/the/data set] minutes=20\")";
    static final String MINUTES = "20";

    // No name is the end of another: ImageJ's own functions find an option by the end of its name.
    private static final List<String> VALUES =
            Arrays.asList("model", "dataset", "classes", "rois", "channel", "minutes", "output");
    private static final List<String> FLAGS = Arrays.asList("empty", "wait");

    /** A model folder, or a package with weights to train. */
    final String model;
    /** About how long. */
    final String minutes;
    /** The model folder to make; "" for the next number beside the old one. */
    final String output;
    /** Whether the active image's ROIs go to the data set first. */
    final boolean adds;
    /** Whether the command ends only when the training does. */
    final boolean waits;
    final Annotations.Options annotations;
    private final MacroOptions given;

    /** @throws RetinaJException quoting the first option that is missing or wrong */
    RetrainOptions(MacroOptions given) throws RetinaJException {
        this.given = given;
        model = given.path("model");
        if (model.isEmpty()) {
            throw new RetinaJException("The model is missing; name the model to start from, as in " + USAGE + ".");
        }
        String dataset = given.path("dataset");
        if (dataset.isEmpty()) {
            throw new RetinaJException("The data set is missing; name a folder to make, or one that RetinaJ made in ImageJ, as in "
                    + USAGE + ".");
        }
        minutes = given.text("minutes", MINUTES);
        if (!minutes.matches("\\d+\\.?\\d*|\\.\\d+") || !(Double.parseDouble(minutes) > 0)) {
            throw new RetinaJException("minutes is '" + minutes + "'; expected a number above 0, such as 20.");
        }
        output = given.path("output");
        String rois = given.choice("rois", "auto", "manager", "overlay", "none");
        adds = !rois.equals("none");
        waits = given.has("wait");
        annotations = new Annotations.Options(
                dataset,
                "",
                given.text("classes", "name"),
                rois,
                given.has("channel") ? given.wholeNumber("channel", 0, 1, "the number of a channel, from 1") : 0,
                given.has("empty"),
                true); // who corrects an image again means the newer boxes; the older ones are kept beside
    }

    /** The options of the macro or script that called. */
    static RetrainOptions ofMacro() throws RetinaJException {
        return new RetrainOptions(MacroOptions.ofMacro(Retrain.COMMAND, VALUES, FLAGS, USAGE));
    }

    /** Lets the recorder write them. */
    void record() {
        given.put("model", model).put("dataset", annotations.dataset).put("output", output)
                .record(Retrain.COMMAND, "model", "dataset", "output");
    }

    /** The data set that a model was trained on further, or a name for a new one beside it. */
    static String datasetOf(String model) {
        String path = MacroOptions.absolute(model);
        String otherwise = path.isEmpty() ? "" : path.replaceFirst("(?i)(\\.zip|[/\\\\])$", "") + "-data";
        return Prefs.get(key(path), otherwise);
    }

    static void remember(String model, String dataset) {
        Prefs.set(key(model), dataset);
    }

    private static String key(String model) {
        return "retinaj.dataset." + Integer.toHexString(model.hashCode());
    }
}
