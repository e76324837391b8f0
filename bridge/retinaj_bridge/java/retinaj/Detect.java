package retinaj;

import ij.IJ;
import ij.plugin.PlugIn;

/** The command "RetinaJ Detect...". */
public final class Detect implements PlugIn {
    @Override
    public void run(String argument) {
        IJ.log("RetinaJ " + Build.VERSION);
    }
}
