package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.WindowManager;
import ij.plugin.PlugIn;
import java.awt.GraphicsEnvironment;
import java.io.File;

/**
 * The command "RetinaJ Correct and retrain...": the corrected ROIs of the active image go to a data set, and a training that
 * starts from the model goes on in the background.
 */
public final class Retrain implements PlugIn {
    static final String COMMAND = "RetinaJ Correct and retrain...";

    @Override
    public void run(String argument) {
        Failure.guard(COMMAND, Retrain::retrain);
    }

    private static void retrain() throws RetinaJException, CanceledException {
        ImagePlus image = WindowManager.getCurrentImage();
        RetrainOptions options;
        if (Failure.asks()) {
            TrainingMonitor.watchRunning();
            options = RetrainDialog.ask(image);
            options.record();
        } else {
            options = RetrainOptions.ofMacro();
        }
        if (options.adds) {
            if (image == null) {
                throw new RetinaJException("There is no image open; open the image whose ROIs you corrected, or train on what is in "
                        + "the data set already: choose ROIs of none (in a macro: rois=none).");
            }
            IJ.log("RetinaJ: " + Annotations.add(image, options.annotations));
        }
        StatusBar progress = new StatusBar();
        Message answer;
        try (Worker worker = Worker.connect(progress)) {
            answer = worker.call("retrain", new Message()
                    .put("model", options.model)
                    .put("dataset", options.annotations.dataset)
                    .put("output", options.output)
                    .put("minutes", options.minutes), progress);
        }
        String output = answer.texts("outputs")[0];
        RetrainOptions.remember(options.model, options.annotations.dataset);
        RetrainOptions.remember(output, options.annotations.dataset);
        // What a macro may want to know: getInfo("retinaj.model") is the folder of the new model.
        System.setProperty("retinaj.model", output);
        IJ.log("RetinaJ: training " + new File(output).getName() + " in the background. " + answer.text("note"));
        String id = answer.texts("ids")[0];
        if (options.waits) {
            TrainingMonitor.await(id);
        } else if (!GraphicsEnvironment.isHeadless() && IJ.getInstance() != null) {
            TrainingMonitor.watch(id, output);
        }
    }
}
