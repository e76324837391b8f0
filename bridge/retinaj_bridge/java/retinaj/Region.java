package retinaj;

import ij.ImagePlus;
import ij.gui.Roi;
import java.awt.Rectangle;

/** The part of an image that is searched: the whole, or what is selected. */
final class Region {
    /** What is searched, in whole pixels. */
    final Rectangle bounds;
    /** Boxes with their centre outside of it are dropped; null where the rectangle is all there is to it. */
    private final Roi shape;

    private Region(Rectangle bounds, Roi shape) {
        this.bounds = bounds;
        this.shape = shape;
    }

    static Region whole(ImagePlus image) {
        return new Region(new Rectangle(0, 0, image.getWidth(), image.getHeight()), null);
    }

    /** @throws RetinaJException if nothing is selected that has an area on the image */
    static Region selected(ImagePlus image) throws RetinaJException {
        Roi roi = image.getRoi();
        if (roi == null) {
            throw new RetinaJException("There is no selection on the image " + image.getTitle()
                    + "; draw one around what shall be searched, or search the whole image.");
        }
        Rectangle bounds = roi.getBounds().intersection(whole(image).bounds);
        if (!roi.isArea() || bounds.isEmpty()) {
            throw new RetinaJException("The selection on the image " + image.getTitle()
                    + " has no area on it; draw one around what shall be searched, such as a rectangle.");
        }
        boolean plain = roi.getType() == Roi.RECTANGLE && roi.getCornerDiameter() == 0;
        return new Region(bounds, plain ? null : (Roi) roi.clone());
    }

    /** Whether a box belongs to the region. */
    boolean takes(Box box) {
        // By the pixel: Roi.containsPoint says no to all points, of some shapes with sub-pixel bounds.
        return shape == null
                || shape.contains((int) Math.floor((box.xMin + box.xMax) / 2), (int) Math.floor((box.yMin + box.yMax) / 2));
    }
}
