package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.Prefs;
import ij.gui.GenericDialog;
import ij.gui.NonBlockingGenericDialog;
import ij.io.FileInfo;
import ij.util.Tools;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.TextField;
import java.io.File;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * The dialog of "RetinaJ Detect...". It does not block ImageJ: the user can look at other slices and draw a selection meanwhile.
 */
final class DetectDialog {
    /** Of RetinaJ's models; what one was made with is known only after opening it. */
    private static final String USUAL_OVERLAP = "0.50";
    /** What is remembered for the next time. */
    private static final String[] REMEMBERED = {"model", "threshold", "overlap", "tiles", "output", "name"};
    private static final String[] OUTPUTS = {
        "ROI Manager", "Results table", "Overlay", "RoiSet.zip", "Label mask", "Count only"
    };
    private static final String WHOLE = "whole image";
    private static final String SELECTION = "selection";

    private final ImagePlus image;
    private final GenericDialog dialog;
    /** The names of the options behind the text fields, in their order. */
    private final List<String> texts = new ArrayList<>();
    private Choice channel;
    private Choice region;
    private Checkbox project;
    private final List<Checkbox> outputs = new ArrayList<>();
    private Checkbox groups;
    private Checkbox replace;
    private Checkbox preview;

    private DetectDialog(ImagePlus image, MacroOptions typed) {
        this.image = image;
        dialog = new NonBlockingGenericDialog(Detect.COMMAND);
        build(typed);
    }

    /**
     * Asks for the options until they are right, and remembers them.
     *
     * @throws CanceledException if the user canceled
     */
    static DetectOptions ask(ImagePlus image) throws CanceledException {
        MacroOptions typed = new MacroOptions()
                .put("threshold", MacroOptions.number(Build.THRESHOLD))
                .put("overlap", USUAL_OVERLAP);
        for (String key : REMEMBERED) {
            typed.put(key, Prefs.get("retinaj." + key, ""));
        }
        while (true) {
            DetectDialog dialog = new DetectDialog(image, typed);
            typed = dialog.show();
            try {
                DetectOptions options = new DetectOptions(typed);
                for (String key : REMEMBERED) {
                    Prefs.set("retinaj." + key, typed.text(key, ""));
                }
                return options;
            } catch (RetinaJException error) {
                Failure.show(Detect.COMMAND, error.getMessage());
            }
        }
    }

    /** Where the slider's knob stands for what was typed last. */
    private static double knob(String threshold) {
        double value = Tools.parseDouble(threshold, Build.THRESHOLD);
        return Math.min(Math.max(value, 0.01), 1.0);
    }

    private void build(MacroOptions typed) {
        RecentModels.addTo(dialog, "Model", typed.text("model", ""));
        texts.add("model");
        dialog.addSlider("Threshold", 0.01, 1.0, knob(typed.text("threshold", "")), 0.01);
        // As it was typed, so that a wrong number is quoted and explained in the same words as in a macro.
        ((TextField) dialog.getNumericFields().lastElement()).setText(typed.text("threshold", ""));
        addText("Overlap", "overlap", typed.text("overlap", USUAL_OVERLAP), 6);
        if (image.getNChannels() > 1) {
            String[] choices = new String[image.getNChannels() + 1];
            choices[0] = "all";
            for (int number = 1; number < choices.length; number++) {
                choices[number] = String.valueOf(number);
            }
            dialog.addChoice("Channel", choices, typed.text("channel", "all"));
            channel = (Choice) dialog.getChoices().lastElement();
        }
        int slices = image.getNSlices();
        int frames = image.getNFrames();
        if (slices > 1 || frames > 1) {
            addText("Slices (all, current, 3-7)", "slices", typed.text("slices", "all"), 10);
        }
        if (slices > 1 && frames > 1) {
            addText("Frames (all, current, 3-7)", "frames", typed.text("frames", "all"), 10);
        }
        if (slices > 1) {
            project = addCheckbox("Maximum projection of the slices", typed.text("projection", "none").equals("max"));
        }
        addText("Tiles (auto, none, side)", "tiles", typed.text("tiles", "auto"), 10);
        dialog.addChoice("Region", new String[] {WHOLE, SELECTION},
                typed.text("region", "image").equals("selection") ? SELECTION : WHOLE);
        region = (Choice) dialog.getChoices().lastElement();
        addOutputs(typed);
        PathField.addOutput(dialog, "RoiSet.zip file", typed.text("file", besideTheImage()));
        texts.add("file");
        addText("Name of entries", "name", typed.text("name", NameTemplate.DEFAULT), 20);
        groups = addCheckbox("Groups by class", typed.has("groups"));
        replace = addCheckbox("Replace ROIs and results", typed.has("replace"));
        preview = addCheckbox("Preview of the plane in view", false);
        dialog.addHelp(Help.forDialog("detect"));
    }

    private void addText(String label, String key, String text, int columns) {
        dialog.addStringField(label, text, columns);
        texts.add(key);
    }

    private Checkbox addCheckbox(String label, boolean state) {
        dialog.addCheckbox(label, state);
        return (Checkbox) dialog.getCheckboxes().lastElement();
    }

    private void addOutputs(MacroOptions typed) {
        Set<DetectOptions.Output> chosen;
        try {
            chosen = DetectOptions.Output.parse(typed.text("output", DetectOptions.Output.DEFAULT));
        } catch (RetinaJException error) {
            chosen = EnumSet.noneOf(DetectOptions.Output.class); // none was chosen, which was told
        }
        boolean[] states = new boolean[OUTPUTS.length];
        for (DetectOptions.Output output : chosen) {
            states[output.ordinal()] = true;
        }
        int before = dialog.getCheckboxes() == null ? 0 : dialog.getCheckboxes().size();
        dialog.addCheckboxGroup(2, 3, OUTPUTS, states, new String[] {"Output:"});
        for (int at = 0; at < OUTPUTS.length; at++) {
            outputs.add((Checkbox) dialog.getCheckboxes().get(before + at));
        }
    }

    private MacroOptions show() throws CanceledException {
        try (Preview shown = new Preview(image)) {
            dialog.addDialogListener((source, event) -> {
                DetectOptions options = preview.getState() ? readIfRight() : null;
                if (options != null || !preview.getState()) { // something half typed leaves the preview as it is
                    shown.update(options);
                }
                return true;
            });
            dialog.showDialog();
        }
        if (!dialog.wasOKed()) { // wasCanceled would also cancel whatever macro runs meanwhile
            throw new CanceledException();
        }
        return read();
    }

    private DetectOptions readIfRight() {
        try {
            return new DetectOptions(read());
        } catch (RetinaJException error) {
            IJ.showStatus("RetinaJ: " + error.getMessage());
            return null;
        }
    }

    /** What is typed and chosen now. Read from the components: ImageJ's getNext... would record it in its own way. */
    private MacroOptions read() {
        MacroOptions typed = new MacroOptions();
        for (int at = 0; at < texts.size(); at++) {
            typed.put(texts.get(at), ((TextField) dialog.getStringFields().get(at)).getText());
        }
        typed.put("threshold", ((TextField) dialog.getNumericFields().get(0)).getText());
        if (channel != null && channel.getSelectedIndex() > 0) {
            typed.put("channel", channel.getSelectedItem());
        }
        typed.put("projection", project != null && project.getState() ? "max" : "none");
        typed.put("region", region.getSelectedItem().equals(SELECTION) ? "selection" : "image");
        List<String> words = new ArrayList<>();
        for (DetectOptions.Output output : DetectOptions.Output.values()) {
            if (outputs.get(output.ordinal()).getState()) {
                words.add(output.name().toLowerCase(Locale.ROOT));
            }
        }
        typed.put("output", words.isEmpty() ? "nothing" : String.join(",", words));
        if (!words.contains("zip")) {
            typed.remove("file");
        }
        return typed.flag("groups", groups.getState()).flag("replace", replace.getState());
    }

    /** Where a RoiSet.zip of the image would lie, if the image has a file. */
    private String besideTheImage() {
        FileInfo file = image.getOriginalFileInfo();
        if (file == null || file.directory == null || file.directory.isEmpty() || file.directory.contains("://")) {
            return "";
        }
        return new File(file.directory, image.getShortTitle() + "_RoiSet.zip").getPath();
    }
}
