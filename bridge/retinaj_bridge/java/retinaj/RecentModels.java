package retinaj;

import ij.gui.GenericDialog;
import java.awt.Choice;
import java.awt.EventQueue;
import java.awt.TextField;
import java.util.ArrayList;
import java.util.List;

/** The models that were used lately, to choose from in a dialog. */
final class RecentModels {
    /** As wide as most names, for the list comes when the dialog is shown already. */
    static final String TITLE = "Models that were used lately               ";

    private RecentModels() {}

    /** Adds a field for a model, and below it the list of those that were used lately. */
    static TextField addTo(GenericDialog dialog, String label, String path) {
        TextField field = PathField.addModel(dialog, label, path);
        dialog.addChoice("Recent", new String[] {TITLE}, TITLE);
        offer((Choice) dialog.getChoices().lastElement(), field);
        return field;
    }

    /**
     * Fills a list when the worker has told the models, and lets a choice from it go into a field.
     *
     * <p>The worker, if none runs, is started by that, and is ready when the user has filled in the dialog.
     */
    private static void offer(Choice choice, TextField field) {
        List<String> paths = new ArrayList<>();
        choice.addItemListener(event -> {
            int at = choice.getSelectedIndex() - 1;
            if (at >= 0 && at < paths.size()) {
                field.setText(paths.get(at));
            }
        });
        Thread asking = new Thread(() -> {
            Message answer = ask();
            EventQueue.invokeLater(() -> {
                String[] models = answer.texts("models");
                String[] names = answer.texts("names");
                for (int at = 0; at < models.length; at++) {
                    paths.add(models[at]);
                    choice.add(names[at] + " (" + models[at] + ")");
                }
            });
        }, "RetinaJ recent models");
        asking.setDaemon(true);
        asking.start();
    }

    private static Message ask() {
        Progress quiet = new Progress() {
            @Override
            public void report(double fraction, String status) {
                // The user did not ask for anything yet.
            }

            @Override
            public boolean isCanceled() {
                return false;
            }
        };
        try (Worker worker = Worker.connect(quiet)) {
            return worker.call("recent", new Message(), quiet);
        } catch (RetinaJException | CanceledException error) {
            return new Message(); // why the worker does not run is told when it is needed
        }
    }
}
