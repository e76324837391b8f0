package retinaj;

import ij.IJ;
import ij.Prefs;
import ij.gui.GenericDialog;
import ij.plugin.PlugIn;
import java.awt.GraphicsEnvironment;
import java.awt.Image;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.Collections;
import javax.imageio.ImageIO;

/** The command "RetinaJ Model info...": what a model is, in a window, or in the log where there is none. */
public final class ModelInfo implements PlugIn {
    static final String COMMAND = "RetinaJ Model info...";
    private static final String USAGE = "run(\"" + COMMAND + "\", \"model=[/path/of/the/model]\")";

    @Override
    public void run(String argument) {
        Failure.guard(COMMAND, ModelInfo::show);
    }

    private static void show() throws RetinaJException, CanceledException {
        String model;
        if (Failure.asks()) {
            model = ask();
            new MacroOptions().put("model", model).record(COMMAND, "model");
        } else {
            model = MacroOptions.ofMacro(COMMAND, Arrays.asList("model"), Collections.emptyList(), USAGE).path("model");
        }
        if (model.isEmpty()) {
            throw new RetinaJException("The model is missing; name a model folder or a package, as in " + USAGE + ".");
        }
        StatusBar progress = new StatusBar();
        Message answer;
        try (Worker worker = Worker.connect(progress)) {
            answer = worker.call("info", new Message().put("model", model), progress);
        }
        IJ.showStatus("RetinaJ: " + answer.text("name"));
        if (GraphicsEnvironment.isHeadless() || IJ.getInstance() == null) {
            IJ.log(answer.text("text"));
        } else {
            PageWindow.show("RetinaJ: " + answer.text("name"), answer.text("html"), picture(answer));
        }
    }

    private static String ask() throws CanceledException {
        GenericDialog dialog = new GenericDialog(COMMAND);
        RecentModels.addTo(dialog, "Model", Prefs.get("retinaj.model", ""));
        dialog.addHelp(Help.forDialog("info"));
        dialog.showDialog();
        if (!dialog.wasOKed()) { // wasCanceled would also cancel whatever macro runs meanwhile
            throw new CanceledException();
        }
        String model = MacroOptions.absolute(new DialogTexts(dialog).next());
        Prefs.set("retinaj.model", model);
        return model;
    }

    /** Null if there is none. */
    private static Image picture(Message answer) {
        try {
            return answer.bytes("picture").length == 0 ? null : ImageIO.read(new ByteArrayInputStream(answer.bytes("picture")));
        } catch (IOException error) {
            return null; // the page does without
        }
    }
}
