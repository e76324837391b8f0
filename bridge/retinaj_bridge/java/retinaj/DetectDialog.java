package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.Prefs;
import ij.gui.GenericDialog;
import java.awt.TextField;
import java.util.Vector;

/** The dialog of "RetinaJ Detect...". */
final class DetectDialog {
    /** Of RetinaJ's models; what one was made with is known only after opening it. */
    private static final String USUAL_OVERLAP = "0.50";

    private DetectDialog() {}

    /**
     * Asks for the options until they are right, and remembers them.
     *
     * @throws CanceledException if the user canceled
     */
    static DetectOptions ask(ImagePlus image) throws CanceledException {
        MacroOptions typed = new MacroOptions()
                .put("model", Prefs.get("retinaj.model", ""))
                .put("threshold", Prefs.get("retinaj.threshold", MacroOptions.number(Build.THRESHOLD)))
                .put("overlap", Prefs.get("retinaj.overlap", USUAL_OVERLAP));
        while (true) {
            typed = show(image, typed);
            try {
                DetectOptions options = new DetectOptions(typed);
                for (String key : new String[] {"model", "threshold", "overlap"}) {
                    Prefs.set("retinaj." + key, typed.text(key, ""));
                }
                return options;
            } catch (RetinaJException error) {
                IJ.showMessage(Detect.COMMAND, error.getMessage());
            }
        }
    }

    private static MacroOptions show(ImagePlus image, MacroOptions typed) throws CanceledException {
        GenericDialog dialog = new GenericDialog(Detect.COMMAND);
        ModelField.addTo(dialog, "Model", typed.text("model", ""));
        // Text fields, not numeric ones, so that a wrong number is quoted and explained in the same words as in a macro.
        dialog.addStringField("Threshold", typed.text("threshold", ""), 6);
        dialog.addStringField("Overlap", typed.text("overlap", ""), 6);
        int channels = image.getNChannels();
        if (channels > 1) {
            String[] choices = new String[channels + 1];
            choices[0] = "all";
            for (int channel = 1; channel <= channels; channel++) {
                choices[channel] = String.valueOf(channel);
            }
            dialog.addChoice("Channel", choices, typed.text("channel", "all"));
        }
        dialog.addCheckbox("Replace ROIs and results", typed.has("replace"));
        dialog.showDialog();
        if (dialog.wasCanceled()) {
            throw new CanceledException();
        }
        Vector<?> fields = dialog.getStringFields();
        String channel = channels > 1 ? dialog.getNextChoice() : "all";
        return new MacroOptions()
                .put("model", ((TextField) fields.get(0)).getText())
                .put("threshold", ((TextField) fields.get(1)).getText())
                .put("overlap", ((TextField) fields.get(2)).getText())
                .put("channel", channel.equals("all") ? "" : channel)
                .flag("replace", dialog.getNextBoolean());
    }
}
