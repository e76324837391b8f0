package retinaj;

import ij.gui.GenericDialog;
import java.awt.Button;
import java.awt.Panel;
import java.awt.TextField;
import java.awt.event.ActionListener;
import java.io.File;
import javax.swing.JFileChooser;

/** A field of a dialog that names a file or a folder, typed or chosen by its button. */
final class PathField {
    private static final int COLUMNS = 40;

    private PathField() {}

    /** Adds a field for a model: its button offers folders and files together, which ImageJ's own does not. */
    static TextField addModel(GenericDialog dialog, String label, String path) {
        return add(dialog, label, path, "A model folder or a package.zip", JFileChooser.FILES_AND_DIRECTORIES, false);
    }

    /** Adds a field for a file to be written. */
    static TextField addOutput(GenericDialog dialog, String label, String path) {
        return add(dialog, label, path, label, JFileChooser.FILES_ONLY, true);
    }

    private static TextField add(GenericDialog dialog, String label, String path, String title, int mode, boolean save) {
        dialog.addFileField(label, path, COLUMNS);
        TextField field = (TextField) dialog.getStringFields().lastElement();
        Panel panel = (Panel) dialog.getComponent(dialog.getComponentCount() - 1);
        Button button = (Button) panel.getComponent(1);
        for (ActionListener listener : button.getActionListeners()) {
            button.removeActionListener(listener);
        }
        button.addActionListener(event -> {
            File known = new File(MacroOptions.absolute(field.getText()));
            JFileChooser chooser = new JFileChooser(known.getParentFile());
            chooser.setDialogTitle(title);
            chooser.setFileSelectionMode(mode);
            if (save || known.exists()) {
                chooser.setSelectedFile(known);
            }
            int answer = save ? chooser.showSaveDialog(dialog) : chooser.showOpenDialog(dialog);
            if (answer == JFileChooser.APPROVE_OPTION) {
                field.setText(chooser.getSelectedFile().getPath());
            }
        });
        return field;
    }
}
