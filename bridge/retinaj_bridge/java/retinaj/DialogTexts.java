package retinaj;

import ij.gui.GenericDialog;
import java.awt.TextField;
import java.util.Vector;

/** What was typed into the text fields of a dialog, in their order. ImageJ's own way would record them, in its own words. */
final class DialogTexts {
    private final Vector<?> fields;
    private int at;

    DialogTexts(GenericDialog dialog) {
        fields = dialog.getStringFields();
    }

    String next() {
        return ((TextField) fields.get(at++)).getText();
    }
}
