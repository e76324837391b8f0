package retinaj;

import ij.Prefs;
import ij.gui.GenericDialog;

/** The dialog of "RetinaJ Detect in folder...". */
final class FolderDialog {
    private static final int COLUMNS = 40;
    private static final String[] REMEMBERED = {"model", "threshold", "overlap"};

    private FolderDialog() {}

    /**
     * Asks for the options until they are right, and remembers them.
     *
     * @throws CanceledException if the user canceled
     */
    static FolderOptions ask() throws CanceledException {
        MacroOptions typed = new MacroOptions().flag("show", true);
        for (String key : REMEMBERED) {
            typed.put(key, Prefs.get("retinaj." + key, ""));
        }
        typed.put("images", Prefs.get("retinaj.folder.images", "")).put("output", Prefs.get("retinaj.folder.output", ""));
        while (true) {
            typed = show(typed);
            try {
                FolderOptions options = new FolderOptions(typed);
                for (String key : REMEMBERED) {
                    Prefs.set("retinaj." + key, typed.text(key, ""));
                }
                Prefs.set("retinaj.folder.images", options.images);
                Prefs.set("retinaj.folder.output", options.output);
                return options;
            } catch (RetinaJException error) {
                Failure.show(DetectFolder.COMMAND, error.getMessage());
            }
        }
    }

    private static MacroOptions show(MacroOptions typed) throws CanceledException {
        GenericDialog dialog = new GenericDialog(DetectFolder.COMMAND);
        RecentModels.addTo(dialog, "Model", typed.text("model", ""));
        dialog.addDirectoryField("Images", typed.text("images", ""), COLUMNS);
        dialog.addDirectoryField("Results (a new folder)", typed.text("output", ""), COLUMNS);
        // Text fields, not numeric ones, so that a wrong number is quoted and explained in the same words as in a macro.
        dialog.addStringField("Threshold", typed.text("threshold", MacroOptions.number(Build.THRESHOLD)), 6);
        dialog.addStringField("Overlap (empty: the model's)", typed.text("overlap", ""), 6);
        dialog.addCheckbox("Show the contact sheet at the end", typed.has("show"));
        dialog.addHelp(Help.forDialog("folder"));
        dialog.showDialog();
        if (!dialog.wasOKed()) { // wasCanceled would also cancel whatever macro runs meanwhile
            throw new CanceledException();
        }
        DialogTexts texts = new DialogTexts(dialog);
        return new MacroOptions()
                .put("model", texts.next())
                .put("images", texts.next())
                .put("output", texts.next())
                .put("threshold", texts.next())
                .put("overlap", texts.next())
                .flag("show", dialog.getNextBoolean());
    }
}
