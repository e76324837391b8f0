package retinaj;

import ij.gui.GenericDialog;
import java.awt.Button;
import java.awt.Panel;
import java.awt.TextField;
import java.awt.event.ActionListener;
import java.io.File;
import javax.swing.JFileChooser;

/** The field of a dialog that names a model: a folder or a package, typed or chosen. */
final class ModelField {
    private static final int COLUMNS = 40;

    private ModelField() {}

    /** Adds the field, with a button that offers folders and files together, which ImageJ's own does not. */
    static TextField addTo(GenericDialog dialog, String label, String path) {
        dialog.addFileField(label, path, COLUMNS);
        TextField field = (TextField) dialog.getStringFields().lastElement();
        Panel panel = (Panel) dialog.getComponent(dialog.getComponentCount() - 1);
        Button button = (Button) panel.getComponent(1);
        for (ActionListener listener : button.getActionListeners()) {
            button.removeActionListener(listener);
        }
        button.addActionListener(event -> browse(dialog, field));
        return field;
    }

    private static void browse(GenericDialog dialog, TextField field) {
        File known = new File(MacroOptions.absolute(field.getText()));
        JFileChooser chooser = new JFileChooser(known.getParentFile());
        chooser.setDialogTitle("A model folder or a package.zip");
        chooser.setFileSelectionMode(JFileChooser.FILES_AND_DIRECTORIES);
        if (known.exists()) {
            chooser.setSelectedFile(known);
        }
        if (chooser.showOpenDialog(dialog) == JFileChooser.APPROVE_OPTION) {
            field.setText(chooser.getSelectedFile().getPath());
        }
    }
}
