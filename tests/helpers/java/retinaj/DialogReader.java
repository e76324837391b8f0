package retinaj;

import ij.plugin.frame.RoiManager;
import java.awt.Component;
import java.awt.Container;
import java.awt.Dialog;
import java.awt.Label;
import java.awt.Window;
import java.lang.reflect.Field;

/**
 * A user for tests who reads out every message box and closes it: `DialogReader ARGUMENTS...` starts ImageJ with these arguments.
 * Each box gives a line that begins with "DIALOG" and ends with the number of ROIs in the ROI Manager at that time.
 */
public final class DialogReader {
    private static final int MILLISECONDS_BETWEEN_LOOKS = 50;

    private DialogReader() {}

    public static void main(String[] arguments) throws Exception {
        Thread reader = new Thread(DialogReader::read, "dialog reader");
        reader.setDaemon(true);
        reader.start();
        ij.ImageJ.main(arguments);
    }

    private static void read() {
        try {
            while (true) {
                Thread.sleep(MILLISECONDS_BETWEEN_LOOKS);
                for (Window window : Window.getWindows()) {
                    if (window instanceof Dialog && window.isShowing()) {
                        System.out.println("DIALOG " + ((Dialog) window).getTitle() + ":" + texts(window) + " [" + rois() + " ROIs]");
                        window.dispose();
                    }
                }
            }
        } catch (InterruptedException error) {
            return; // ImageJ ends
        }
    }

    private static int rois() {
        RoiManager manager = RoiManager.getInstance();
        return manager == null ? 0 : manager.getCount();
    }

    private static String texts(Container container) {
        StringBuilder texts = new StringBuilder();
        for (Component component : container.getComponents()) {
            if (component instanceof Label) {
                texts.append(' ').append(((Label) component).getText());
            } else if (component.getClass().getSimpleName().equals("MultiLineLabel")) {
                texts.append(' ').append(lines(component));
            } else if (component instanceof Container) {
                texts.append(texts((Container) component));
            }
        }
        return texts.toString();
    }

    /** ImageJ's label of several lines keeps them to itself. */
    private static String lines(Component label) {
        try {
            Field lines = label.getClass().getDeclaredField("lines");
            lines.setAccessible(true);
            return String.join(" ", (String[]) lines.get(label));
        } catch (ReflectiveOperationException error) {
            return error.toString();
        }
    }
}
