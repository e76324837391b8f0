package retinaj;

import ij.ImagePlus;
import ij.ImageStack;
import ij.plugin.LutLoader;
import ij.process.LUT;
import java.util.Arrays;

/** Boxes as an image: each pixel holds the number of the box that it lies in, from 1, in the order of the entries; 0 outside. */
final class LabelMask {
    private static final int MOST = 65_535;

    private LabelMask() {}

    /**
     * A 16-bit image with as many slices and frames as the searched one, or without slices of a projection. Where boxes overlap,
     * the one with the higher score is in front.
     *
     * @throws RetinaJException if there are more boxes than 16 bit can count
     */
    static ImagePlus of(Detections found, ImagePlus image, DetectOptions options) throws RetinaJException {
        if (found.boxes.size() > MOST) {
            throw new RetinaJException("There are " + found.boxes.size() + " boxes, but a label mask can count only to 65,535; "
                    + "raise the threshold, or search fewer planes.");
        }
        int width = image.getWidth();
        int slices = options.project ? 1 : image.getNSlices();
        int frames = image.getNFrames();
        ImageStack stack = new ImageStack(width, image.getHeight());
        for (int at = 0; at < slices * frames; at++) {
            stack.addSlice("", new short[width * image.getHeight()]);
        }
        for (int at = found.boxes.size() - 1; at >= 0; at--) { // the best of a plane comes first there
            Box box = found.boxes.get(at);
            int plane = (box.frame - 1) * slices + Math.max(box.slice, 1);
            short[] pixels = (short[]) stack.getPixels(plane);
            // A pixel is inside if its centre is.
            int left = clip(box.xMin, width - 1);
            int right = Math.max(left + 1, clip(box.xMax, width));
            int top = clip(box.yMin, image.getHeight() - 1);
            int bottom = Math.max(top + 1, clip(box.yMax, image.getHeight()));
            for (int y = top; y < bottom; y++) {
                Arrays.fill(pixels, y * width + left, y * width + right, (short) (at + 1));
            }
        }
        ImagePlus mask = new ImagePlus("Labels of " + image.getTitle(), stack);
        mask.setDimensions(1, slices, frames);
        mask.setOpenAsHyperStack(slices > 1 && frames > 1);
        mask.setCalibration(image.getCalibration().copy());
        mask.getCalibration().disableDensityCalibration();
        mask.setLut(new LUT(LutLoader.getLut("3-3-2 RGB"), 0, 255));
        mask.setDisplayRange(0, Math.max(1, found.boxes.size()));
        return mask;
    }

    private static int clip(double value, int most) {
        return (int) Math.max(0, Math.min(most, Math.ceil(value - 0.5)));
    }
}
