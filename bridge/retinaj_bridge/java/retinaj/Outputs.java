package retinaj;

import ij.ImagePlus;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.plugin.frame.RoiManager;
import java.util.List;

/** Puts boxes where the user wants them: everywhere, or, if one of the places cannot take them, nowhere. */
final class Outputs {
    private Outputs() {}

    /** @throws RetinaJException if a place cannot take the boxes; then no place has any */
    static void put(Detections found, ImagePlus image, DetectOptions options) throws RetinaJException {
        // First all that can fail.
        List<Roi> rois = Entries.of(found, image, options);
        RoiManager manager = options.outputs.contains(DetectOptions.Output.MANAGER) ? Entries.manager() : null;
        ImagePlus mask = options.outputs.contains(DetectOptions.Output.MASK) ? LabelMask.of(found, image, options) : null;
        if (options.outputs.contains(DetectOptions.Output.ZIP)) {
            try (RoiSetFile file = new RoiSetFile(options.file, rois)) {
                file.commit();
            }
        }
        Overlay mine = options.replace ? null : image.getOverlay(); // without a display, the ROI Manager may show its own there
        if (manager != null) {
            Entries.addTo(manager, rois, image, options.replace);
        }
        if (options.outputs.contains(DetectOptions.Output.OVERLAY)) {
            Entries.addTo(mine == null ? new Overlay() : mine, rois, image);
        }
        if (options.outputs.contains(DetectOptions.Output.TABLE)) {
            Tables.addBoxes(found, image, options);
        }
        if (options.outputs.contains(DetectOptions.Output.COUNT)) {
            Tables.addCounts(found, image, options);
        }
        if (mask != null) {
            mask.show(); // last: it becomes the active image
        }
    }
}
