package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.Prefs;
import ij.WindowManager;
import ij.gui.GenericDialog;
import ij.plugin.PlugIn;
import java.util.Arrays;
import java.util.List;

/** The command "RetinaJ Export annotations...": the ROIs of the active image become part of a data set for training. */
public final class ExportAnnotations implements PlugIn {
    static final String COMMAND = "RetinaJ Export annotations...";
    private static final String USAGE = "run(\"" + COMMAND + "\", \"dataset=[/folder/to/make] classes=name\")";
    // No name is the end of another: ImageJ's own functions find an option by the end of its name.
    private static final List<String> VALUES = Arrays.asList("dataset", "format", "classes", "rois", "channel");
    private static final List<String> FLAGS = Arrays.asList("empty", "replace");

    @Override
    public void run(String argument) {
        Failure.guard(COMMAND, ExportAnnotations::export);
    }

    private static void export() throws RetinaJException, CanceledException {
        ImagePlus image = WindowManager.getCurrentImage();
        if (image == null) {
            throw new RetinaJException("There is no image open; open the image that the ROIs belong to, then run " + COMMAND
                    + " again.");
        }
        MacroOptions given;
        if (Failure.asks()) {
            given = ask(image);
            given.record(COMMAND, "dataset");
        } else {
            given = MacroOptions.ofMacro(COMMAND, VALUES, FLAGS, USAGE);
        }
        String said = Annotations.add(image, options(given));
        IJ.log("RetinaJ: " + said);
        IJ.showStatus("RetinaJ: " + said);
    }

    private static Annotations.Options options(MacroOptions given) throws RetinaJException {
        String dataset = given.path("dataset");
        if (dataset.isEmpty()) {
            throw new RetinaJException("The data set is missing; name a folder to make, or one that this command made, as in "
                    + USAGE + ".");
        }
        return new Annotations.Options(
                dataset,
                given.has("format") ? given.choice("format", "voc", "coco") : "",
                given.text("classes", "name"),
                given.choice("rois", "auto", "manager", "overlay"),
                given.has("channel") ? given.wholeNumber("channel", 0, 1, "the number of a channel, from 1") : 0,
                given.has("empty"),
                given.has("replace"));
    }

    private static MacroOptions ask(ImagePlus image) throws CanceledException {
        MacroOptions typed = new MacroOptions()
                .put("dataset", Prefs.get("retinaj.dataset", ""))
                .put("classes", Prefs.get("retinaj.classes", "name"));
        while (true) {
            typed = show(image, typed);
            try {
                Annotations.Options options = options(typed);
                Prefs.set("retinaj.dataset", options.dataset);
                Prefs.set("retinaj.classes", options.classes);
                return typed.put("dataset", options.dataset);
            } catch (RetinaJException error) {
                Failure.show(COMMAND, error.getMessage());
            }
        }
    }

    private static MacroOptions show(ImagePlus image, MacroOptions typed) throws CanceledException {
        GenericDialog dialog = new GenericDialog(COMMAND);
        dialog.addDirectoryField("Data set", typed.text("dataset", ""), 40);
        dialog.addChoice("Format of a new one", new String[] {"voc", "coco"}, typed.text("format", "voc"));
        ClassesField.addTo(dialog, typed.text("classes", "name"));
        dialog.addChoice("ROIs of", new String[] {"auto", "manager", "overlay"}, typed.text("rois", "auto"));
        ClassesField.addChannel(dialog, image, typed.text("channel", "all"));
        dialog.addCheckbox("Replace earlier boxes of this image", typed.has("replace"));
        dialog.addCheckbox("This image has no objects", typed.has("empty"));
        dialog.addHelp(Help.forDialog("annotations"));
        dialog.showDialog();
        if (!dialog.wasOKed()) { // wasCanceled would also cancel whatever macro runs meanwhile
            throw new CanceledException();
        }
        DialogTexts texts = new DialogTexts(dialog);
        MacroOptions answer = new MacroOptions().put("dataset", texts.next());
        String format = dialog.getNextChoice();
        String classes = texts.next();
        String rois = dialog.getNextChoice();
        String channel = ClassesField.channel(dialog, image);
        return answer
                .put("format", format.equals("voc") ? "" : format)
                .put("classes", classes.equals("name") ? "" : classes)
                .put("rois", rois.equals("auto") ? "" : rois)
                .put("channel", channel)
                .flag("replace", dialog.getNextBoolean())
                .flag("empty", dialog.getNextBoolean());
    }
}
