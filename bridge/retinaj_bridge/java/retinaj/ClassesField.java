package retinaj;

import ij.ImagePlus;
import ij.gui.GenericDialog;

/** Fields that the dialogs about annotations share. */
final class ClassesField {
    private ClassesField() {}

    static void addTo(GenericDialog dialog, String value) {
        dialog.addStringField("Classes by (name, group, property:KEY)", value, 14);
    }

    /** A choice, for an image that has several. */
    static void addChannel(GenericDialog dialog, ImagePlus image, String value) {
        int channels = image == null ? 1 : image.getNChannels();
        if (channels == 1) {
            return;
        }
        String[] choices = new String[channels + 1];
        choices[0] = "all";
        for (int channel = 1; channel <= channels; channel++) {
            choices[channel] = String.valueOf(channel);
        }
        dialog.addChoice("Channel", choices, value);
    }

    /** What was chosen there; "" for all. */
    static String channel(GenericDialog dialog, ImagePlus image) {
        String channel = image == null || image.getNChannels() == 1 ? "all" : dialog.getNextChoice();
        return channel.equals("all") ? "" : channel;
    }
}
