package retinaj;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.Roi;
import ij.measure.Calibration;
import java.util.List;
import java.util.Map;

/** Sends the ROIs of an image, with its pixels, to a data set: one image of it for each plane that has ROIs. */
final class Annotations {
    private Annotations() {}

    /** What is sent where. */
    static final class Options {
        /** The folder of the data set. */
        final String dataset;
        /** "voc", "coco", or "" for that of an existing data set, and "voc" for a new one. */
        final String format;
        /** Where a ROI has its class: "name", "group" or "property:KEY". */
        final String classes;
        /** "auto", "manager" or "overlay". */
        final String rois;
        /** From 1; 0 for all. */
        final int channel;
        /** Whether an image without objects is meant. */
        final boolean empty;
        /** Whether earlier boxes of the same image are replaced. */
        final boolean replace;

        Options(String dataset, String format, String classes, String rois, int channel, boolean empty, boolean replace) {
            this.dataset = dataset;
            this.format = format;
            this.classes = classes;
            this.rois = rois;
            this.channel = channel;
            this.empty = empty;
            this.replace = replace;
        }
    }

    /**
     * Adds the image. If one plane cannot be added, those before it are: the same again adds the rest.
     *
     * @return a sentence on what was added
     * @throws RetinaJException if a ROI does not say its class or its plane, the folder is not such a data set, or the image is in
     *     it already with other boxes and `replace` is not set
     * @throws CanceledException if Escape was pressed
     */
    static String add(ImagePlus image, Options options) throws RetinaJException, CanceledException {
        if (!image.lockSilently()) {
            throw new RetinaJException(
                    "The image " + image.getTitle() + " is in use by another command; wait until it is done.");
        }
        try {
            return addLocked(image, options);
        } finally {
            image.unlock();
            IJ.showProgress(1.0);
        }
    }

    private static String addLocked(ImagePlus image, Options options) throws RetinaJException, CanceledException {
        RoiSource source = RoiSource.of(image, options.rois, options.empty);
        Planes planes = new Planes(image, options.channel, Region.whole(image).bounds);
        StatusBar progress = new StatusBar();
        progress.begin(source.planes.size());
        int objects = 0;
        int leftOut = source.leftOut;
        int unchanged = 0;
        Message answer = new Message();
        try (Worker worker = Worker.connect(progress)) {
            // First of all, so that nothing is written if a ROI on the last plane does not say its class.
            worker.call("check annotations", RoiSource.put(asked(new Message(), options), source.all()), progress);
            for (Map.Entry<List<Integer>, List<Roi>> plane : source.planes.entrySet()) {
                int slice = plane.getKey().get(0);
                int frame = plane.getKey().get(1);
                Message request = asked(planes.read(slice, slice, frame), options)
                        .put("title", image.getTitle())
                        .put("rgb", image.getBitDepth() == 24 || Planes.isPalette(image) ? "1" : "")
                        .put("replace", options.replace ? "1" : "");
                if (planes.slices * planes.frames > 1) {
                    request.put("position", frame + "," + slice).put("of", planes.frames + "," + planes.slices);
                }
                answer = worker.call("annotate", RoiSource.put(scaled(request, image), plane.getValue()), progress);
                objects += Integer.parseInt(answer.text("objects"));
                leftOut += Integer.parseInt(answer.text("left_out"));
                unchanged += answer.text("outcome").equals("unchanged") ? 1 : 0;
                progress.next();
            }
        }
        if (leftOut > 0) { // in the Log window: a dialog would stop a macro
            IJ.log("RetinaJ: " + leftOut + " ROIs of " + image.getTitle()
                    + " are points, lines or texts, or lie outside of the image, and were left out.");
        }
        return said(source.planes.size(), unchanged, objects, answer, options);
    }

    private static Message asked(Message request, Options options) {
        return request.put("dataset", options.dataset).put("format", options.format).put("classes", options.classes);
    }

    private static Message scaled(Message request, ImagePlus image) {
        Calibration scale = image.getCalibration();
        if (scale.scaled()) {
            request.put("pixel_width", String.valueOf(scale.pixelWidth))
                    .put("pixel_height", String.valueOf(scale.pixelHeight))
                    .put("unit", scale.getUnit());
        }
        return request;
    }

    private static String said(int planes, int unchanged, int objects, Message answer, Options options) {
        String what = planes == 1 ? answer.text("image") : planes + " planes";
        String how = unchanged == planes ? " was in the data set already, with the same boxes; "
                : answer.text("outcome").equals("replaced") ? " has new boxes (" + objects + ") in the data set; "
                : " with " + objects + (objects == 1 ? " box" : " boxes") + " was added to the data set; ";
        String images = answer.text("images");
        return what + (planes == 1 ? how : how.replace(" was ", " were ").replace(" has ", " have ")) + options.dataset
                + " has " + images + (images.equals("1") ? " image now." : " images now.");
    }
}
