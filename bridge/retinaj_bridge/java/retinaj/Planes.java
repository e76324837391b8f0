package retinaj;

import ij.CompositeImage;
import ij.ImagePlus;
import ij.ImageStack;
import ij.gui.ImageWindow;
import ij.macro.Interpreter;
import ij.process.ImageProcessor;
import java.awt.Rectangle;
import java.util.ArrayList;
import java.util.List;

/**
 * The planes of an image as the worker takes them. The image is only read, never changed.
 *
 * <p>Look-up tables are for the eye, also inverting ones: they change nothing. Only of 8-bit images whose values are the numbers
 * of colours in a table the colours are sent.
 */
final class Planes {
    final int channels;
    final int slices;
    final int frames;
    private final ImagePlus image;
    private final String title;
    private final Rectangle crop;
    private final int firstChannel;
    private final int lastChannel;
    private final byte[] colourTable;
    private final boolean signed;
    private final int bitDepth;
    private final int width;
    private final int height;
    /** Whether ImageJ lists the image, as it does until it is closed; a script may hand over one that was never shown. */
    private final boolean listed;

    /**
     * @param channel the channel to read, from 1; 0 for all
     * @param crop the part to read
     * @throws RetinaJException if the image was closed, or has no such channel
     */
    Planes(ImagePlus image, int channel, Rectangle crop) throws RetinaJException {
        this.image = image;
        this.crop = crop;
        title = image.getTitle();
        channels = image.getNChannels();
        slices = image.getNSlices();
        frames = image.getNFrames();
        width = image.getWidth();
        height = image.getHeight();
        bitDepth = image.getBitDepth();
        listed = isListed();
        if (image.getProcessor() == null) {
            throw closed();
        }
        if (channel > channels) {
            throw new RetinaJException("channel is " + channel + ", but the image " + title + " has " + channels + ".");
        }
        firstChannel = channel == 0 ? 1 : channel;
        lastChannel = channel == 0 ? channels : channel;
        colourTable = isPalette(image) ? image.getProcessor().getLut().getBytes() : null;
        signed = image.getCalibration().isSigned16Bit();
    }

    /** Whether the pixels are numbers of colours in a table. Tables that run smoothly, such as "Fire", do not count. */
    static boolean isPalette(ImagePlus image) {
        ImageProcessor processor = image.getProcessor();
        if (processor == null || image.getBitDepth() != 8 || image instanceof CompositeImage || processor.isThreshold()) {
            return false;
        }
        // ImageJ's own rule for "8-bit color", which it applies only when it shows an image.
        return processor.isColorLut() && !processor.isPseudoColorLut();
    }

    /**
     * The brightest of some slices in each pixel, or one slice.
     *
     * @param first slice, from 1
     * @param last slice
     * @param frame from 1
     * @return the fields type, shape and pixels of a request
     * @throws RetinaJException if the image was closed or changed since this was made
     */
    Message read(int first, int last, int frame) throws RetinaJException {
        List<Object> parts = null;
        for (int slice = first; slice <= last; slice++) {
            List<Object> these = parts(slice, frame);
            if (parts == null) {
                parts = these;
            } else {
                for (int at = 0; at < parts.size(); at++) {
                    Samples.brightest(parts.get(at), these.get(at));
                }
            }
        }
        String size = crop.height + "," + crop.width;
        return new Message()
                .put("type", Samples.type(parts.get(0), signed))
                .put("shape", parts.size() == 1 ? size : parts.size() + "," + size)
                .put("pixels", Samples.bytes(parts, signed));
    }

    /** @throws RetinaJException if the image was closed or changed since this was made */
    void requireSame() throws RetinaJException {
        ImageStack stack = image.getStack();
        boolean same = image.getProcessor() != null && image.getBitDepth() == bitDepth && image.getNChannels() == channels
                && image.getNSlices() == slices && image.getNFrames() == frames && stack.getWidth() == width
                && stack.getHeight() == height;
        // An image in use keeps its pixels also when it is closed.
        if (image.getProcessor() == null || stack.getSize() == 0 || listed && !isListed()) {
            throw closed();
        }
        if (!same) {
            throw new RetinaJException(
                    "The image " + title + " was changed before RetinaJ was done; run the command again.");
        }
    }

    /** The channels of one plane, each an array of its own; of colour three. */
    private List<Object> parts(int slice, int frame) throws RetinaJException {
        requireSame();
        List<Object> parts = new ArrayList<>();
        ImageStack stack = image.getStack();
        for (int channel = firstChannel; channel <= lastChannel; channel++) {
            Object pixels = stack.getPixels(image.getStackIndex(channel, slice, frame));
            if (pixels == null) {
                throw closed();
            }
            Object part = Samples.crop(pixels, width, crop);
            if (part instanceof int[]) {
                parts.addAll(Samples.ofRgb((int[]) part));
            } else if (colourTable != null) {
                parts.addAll(Samples.ofPalette((byte[]) part, colourTable));
            } else {
                parts.add(part);
            }
        }
        return parts;
    }

    private boolean isListed() {
        ImageWindow window = image.getWindow();
        return window != null && !window.isClosed() || Interpreter.getBatchModeImage(image.getID()) != null;
    }

    private RetinaJException closed() {
        return new RetinaJException("The image " + title + " was closed before RetinaJ was done; leave it open.");
    }
}
