package retinaj;

import ij.ImagePlus;
import ij.Prefs;
import ij.gui.GenericDialog;
import java.awt.TextField;
import java.awt.event.TextEvent;

/** The dialog of "RetinaJ Correct and retrain...". */
final class RetrainDialog {
    private static final int COLUMNS = 40;

    private RetrainDialog() {}

    /**
     * Asks for the options until they are right, and remembers them.
     *
     * @param image the active one, or null
     * @throws CanceledException if the user canceled
     */
    static RetrainOptions ask(ImagePlus image) throws CanceledException {
        String model = Prefs.get("retinaj.model", "");
        MacroOptions typed = new MacroOptions()
                .put("model", model)
                .put("dataset", RetrainOptions.datasetOf(model))
                .put("classes", Prefs.get("retinaj.classes", "name"))
                .put("rois", image == null ? "none" : "auto");
        while (true) {
            typed = show(image, typed);
            try {
                RetrainOptions options = new RetrainOptions(typed);
                Prefs.set("retinaj.model", options.model);
                Prefs.set("retinaj.classes", options.annotations.classes);
                return options;
            } catch (RetinaJException error) {
                Failure.show(Retrain.COMMAND, error.getMessage());
            }
        }
    }

    private static MacroOptions show(ImagePlus image, MacroOptions typed) throws CanceledException {
        GenericDialog dialog = new GenericDialog(Retrain.COMMAND);
        TextField model = RecentModels.addTo(dialog, "Model to start from", typed.text("model", ""));
        dialog.addDirectoryField("Data set", typed.text("dataset", ""), COLUMNS);
        follow(model, (TextField) dialog.getStringFields().lastElement());
        ClassesField.addTo(dialog, typed.text("classes", "name"));
        dialog.addChoice("Add the ROIs of", new String[] {"auto", "manager", "overlay", "none"}, typed.text("rois", "auto"));
        ClassesField.addChannel(dialog, image, typed.text("channel", "all"));
        dialog.addCheckbox("This image has no objects", typed.has("empty"));
        dialog.addStringField("Minutes of training", typed.text("minutes", RetrainOptions.MINUTES), 6);
        dialog.addDirectoryField("New model (empty: the next number)", typed.text("output", ""), COLUMNS);
        dialog.addHelp(Help.forDialog("retrain"));
        dialog.showDialog();
        if (!dialog.wasOKed()) { // wasCanceled would also cancel whatever macro runs meanwhile
            throw new CanceledException();
        }
        DialogTexts texts = new DialogTexts(dialog);
        MacroOptions answer = new MacroOptions().put("model", texts.next()).put("dataset", texts.next());
        String classes = texts.next();
        dialog.getNextChoice(); // that of recent models, which has filled the field
        String rois = dialog.getNextChoice();
        String channel = ClassesField.channel(dialog, image);
        return answer
                .put("classes", classes.equals("name") ? "" : classes)
                .put("rois", rois.equals("auto") ? "" : rois)
                .put("channel", channel)
                .flag("empty", dialog.getNextBoolean())
                .put("minutes", texts.next())
                .put("output", texts.next());
    }

    /** Another model has another data set: the field follows, unless something else was typed there. */
    private static void follow(TextField model, TextField dataset) {
        String[] shown = {dataset.getText()};
        model.addTextListener((TextEvent event) -> {
            if (dataset.getText().equals(shown[0])) {
                shown[0] = RetrainOptions.datasetOf(model.getText());
                dataset.setText(shown[0]);
            }
        });
    }
}
