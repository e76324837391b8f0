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

    /** Of an entry: more would not fit into the dialog. */
    private static final int LETTERS = 44;

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
                if (choice.getWidth() > 0) {
                    choice.setPreferredSize(choice.getSize()); // or long entries would push the dialog's buttons out of its window
                }
                String[] models = answer.texts("models");
                String[] names = answer.texts("names");
                for (int at = 0; at < models.length; at++) {
                    paths.add(models[at]);
                    choice.add(words(names[at], models[at]));
                }
            });
        }, "RetinaJ recent models");
        asking.setDaemon(true);
        asking.start();
    }

    /** A model in the list: its name, and the end of its path, by which those of one name differ. */
    private static String words(String name, String path) {
        String shortName = name.length() > LETTERS / 2 ? name.substring(0, LETTERS / 2) + "\u2026" : name;
        int left = LETTERS - shortName.length();
        String end = path.length() > left ? "\u2026" + path.substring(path.length() - left) : path;
        return shortName + " (" + end + ")";
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
