package retinaj;

import ij.ImagePlus;
import ij.gui.ImageRoi;
import ij.gui.Overlay;
import ij.gui.Roi;
import ij.gui.TextRoi;
import ij.plugin.frame.RoiManager;
import java.awt.geom.Rectangle2D;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The ROIs that a user means as annotations of an image, by the planes that they lie on. */
final class RoiSource {
    /** Points, lines, texts and pictures, which are no objects with a box. */
    final int leftOut;
    /** Slice and frame, from 1, and the ROIs there; in the order of the planes. */
    final Map<List<Integer>, List<Roi>> planes;
    private final ImagePlus image;

    private RoiSource(ImagePlus image, List<Roi> all) throws RetinaJException {
        this.image = image;
        planes = new TreeMap<>((left, right) -> left.get(1).equals(right.get(1)) ? left.get(0) - right.get(0)
                : left.get(1) - right.get(1));
        int others = 0;
        List<Roi> homeless = new ArrayList<>();
        for (Roi roi : all) {
            if (!roi.isArea() || roi instanceof TextRoi || roi instanceof ImageRoi) {
                others++;
                continue;
            }
            List<Integer> plane = plane(roi);
            if (plane == null) {
                homeless.add(roi);
            } else {
                planes.computeIfAbsent(plane, none -> new ArrayList<>()).add(roi);
            }
        }
        leftOut = others;
        if (!homeless.isEmpty()) {
            String which = homeless.size() + " of its " + all.size() + " ROIs, such as " + name(homeless.get(0)) + ",";
            throw new RetinaJException("The image " + image.getTitle() + " is a stack, and " + which + " do not say on which plane "
                    + "of it they lie. Delete these and draw them again with More > Options > Associate with slices ticked in the "
                    + "ROI Manager, or work on a single plane (Image > Duplicate).");
        }
    }

    /**
     * Collects them.
     *
     * @param source "auto", the ROI Manager's if it has any, else those of the overlay; "manager"; or "overlay"
     * @param empty whether the image may be without any: then the plane that is shown has none
     * @throws RetinaJException if there are none, or, on a stack, one does not say its plane
     */
    static RoiSource of(ImagePlus image, String source, boolean empty) throws RetinaJException {
        RoiManager manager = RoiManager.getInstance2();
        Roi[] managed = manager == null ? new Roi[0] : manager.getRoisAsArray();
        Overlay overlay = image.getOverlay();
        Roi[] overlaid = overlay == null ? new Roi[0] : overlay.toArray();
        boolean fromManager = source.equals("manager") || (source.equals("auto") && managed.length > 0);
        RoiSource found = new RoiSource(image, Arrays.asList(fromManager ? managed : overlaid));
        if (!found.planes.isEmpty() && empty) {
            throw new RetinaJException("The option empty says that " + image.getTitle() + " has no objects, but there are outlines of "
                    + found.count() + ". Leave the option out, or delete the outlines.");
        }
        if (found.planes.isEmpty() && !empty) {
            String where = source.equals("auto") ? "neither in the ROI Manager nor in the overlay of " + image.getTitle()
                    : fromManager ? "not in the ROI Manager" : "not in the overlay of " + image.getTitle();
            throw new RetinaJException("There are no outlines of objects, " + where + ". Draw them, or detect them and correct what "
                    + "is wrong; for an image that has no objects, choose so (in a macro: the option empty).");
        }
        if (found.planes.isEmpty()) {
            found.planes.put(Arrays.asList(image.getZ(), image.getT()), Collections.emptyList());
        }
        return found;
    }

    /** How many there are on all planes. */
    int count() {
        return planes.values().stream().mapToInt(List::size).sum();
    }

    /** All of them, in the order of the planes. */
    List<Roi> all() {
        List<Roi> all = new ArrayList<>();
        planes.values().forEach(all::addAll);
        return all;
    }

    /** Puts ROIs into a request: their bounds, names, groups and properties. */
    static Message put(Message request, List<Roi> rois) {
        double[] corners = new double[4 * rois.size()];
        int[] groups = new int[rois.size()];
        List<String> names = new ArrayList<>();
        List<String> properties = new ArrayList<>();
        for (int at = 0; at < rois.size(); at++) {
            Roi roi = rois.get(at);
            Rectangle2D.Double bounds = roi.getFloatBounds();
            corners[4 * at] = bounds.x;
            corners[4 * at + 1] = bounds.y;
            corners[4 * at + 2] = bounds.x + bounds.width;
            corners[4 * at + 3] = bounds.y + bounds.height;
            groups[at] = roi.getGroup();
            names.add(name(roi).replace('\0', ' '));
            properties.add(roi.getProperties() == null ? "" : roi.getProperties().replace('\0', ' '));
        }
        return request.put("xyxy", corners)
                .put("groups", groups)
                .put("names", String.join("\0", names))
                .put("properties", String.join("\0", properties));
    }

    private static String name(Roi roi) {
        return roi.getName() == null ? "" : roi.getName();
    }

    /** Slice and frame from 1; null if a ROI on a stack does not say. */
    private List<Integer> plane(Roi roi) throws RetinaJException {
        int slices = image.getNSlices();
        int frames = image.getNFrames();
        if (slices * frames == 1) {
            return Arrays.asList(1, 1);
        }
        int slice;
        int frame;
        if (roi.hasHyperStackPosition()) {
            slice = roi.getZPosition();
            frame = roi.getTPosition();
        } else if (roi.getPosition() > 0) {
            if (roi.getPosition() > image.getStackSize()) {
                throw beyond(roi);
            }
            int[] position = image.convertIndexToPosition(roi.getPosition());
            slice = position[1];
            frame = position[2];
        } else {
            return null;
        }
        slice = slices == 1 ? 1 : slice;
        frame = frames == 1 ? 1 : frame;
        if (slice == 0 || frame == 0) {
            return null;
        }
        if (slice > slices || frame > frames) {
            throw beyond(roi);
        }
        return Arrays.asList(slice, frame);
    }

    private RetinaJException beyond(Roi roi) {
        return new RetinaJException("The ROI " + name(roi) + " lies on a plane that the image " + image.getTitle()
                + " does not have: it belongs to another image. Empty the ROI Manager first, or choose the right image.");
    }
}
