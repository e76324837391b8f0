package retinaj;

import ij.ImagePlus;
import java.io.File;

/** Lets the worker search an image, plane by plane. */
final class Search {
    private Search() {}

    /**
     * The boxes on an image.
     *
     * @param progress is told about each plane
     * @throws RetinaJException if the model cannot be opened, or the image does not fit it or is not there any more
     * @throws CanceledException if Escape was pressed
     */
    static Detections run(ImagePlus image, DetectOptions options, StatusBar progress)
            throws RetinaJException, CanceledException {
        String title = image.getTitle();
        Region region = options.inSelection ? Region.selected(image) : Region.whole(image);
        Planes planes = new Planes(image, options.channel, region.bounds);
        if (options.project && planes.slices == 1) {
            throw new RetinaJException("projection is max, but the image " + title + " has no slices to project: leave it out.");
        }
        // A plain stack may be one of slices or of time frames; both are slices to who looks at it.
        boolean onlyFrames = planes.slices == 1 && planes.frames > 1 && options.slices != Span.ALL && options.frames == Span.ALL;
        int[] slices = onlyFrames ? new int[] {1, 1}
                : options.slices.in("slices", planes.slices, image.getZ(), title);
        int[] frames = onlyFrames ? options.slices.in("slices", planes.frames, image.getT(), title)
                : options.frames.in("frames", planes.frames, image.getT(), title);
        int perFrame = options.project ? 1 : slices[1] - slices[0] + 1;
        progress.begin(perFrame * (frames[1] - frames[0] + 1));
        progress.report(-1, "opening " + new File(options.model).getName());
        try (Worker worker = Worker.connect(progress)) {
            Message model = worker.call("open", new Message().put("model", options.model), progress);
            Detections found = new Detections(model, options.threshold);
            for (int frame = frames[0]; frame <= frames[1]; frame++) {
                for (int at = 0; at < perFrame; at++) {
                    int first = slices[0] + at;
                    int last = options.project ? slices[1] : first;
                    Message request = planes.read(first, last, frame);
                    Message answer;
                    try {
                        answer = worker.call("detect", asked(request, options, model), progress);
                    } catch (RetinaJException error) {
                        throw explained(error, image, planes, options);
                    }
                    int slice = options.project ? 0 : first;
                    found.planes.add(new int[] {slice, frame});
                    add(answer, region, slice, frame, found);
                    progress.next();
                }
            }
            planes.requireSame();
            return found;
        }
    }

    private static Message asked(Message request, DetectOptions options, Message model) {
        return request
                .put("identity", model.text("identity")) // so that one that is replaced meanwhile is noticed
                .put("model", options.model)
                .put("threshold", String.valueOf(options.threshold))
                .put("overlap", Double.isNaN(options.overlap) ? "" : String.valueOf(options.overlap))
                .put("tiles", options.tiles);
    }

    private static void add(Message answer, Region region, int slice, int frame, Detections found) {
        double[] corners = answer.doubles("xyxy");
        double[] scores = answer.doubles("score");
        int[] labels = answer.ints("label");
        int left = region.bounds.x;
        int top = region.bounds.y;
        for (int at = 0; at < scores.length; at++) {
            Box box = new Box(left + corners[4 * at], top + corners[4 * at + 1], left + corners[4 * at + 2],
                    top + corners[4 * at + 3], scores[at], labels[at], slice, frame);
            if (region.takes(box)) {
                found.boxes.add(box);
            }
        }
        if (answer.text("full").equals("1")) {
            found.limitWords = answer.text("limit_words");
        }
    }

    /** Which image it was, and what ImageJ offers to make an image fit a model. */
    private static RetinaJException explained(RetinaJException error, ImagePlus image, Planes planes, DetectOptions options) {
        if (error.getCause() != null) {
            return error; // the worker was lost: that has nothing to do with the image
        }
        String hint = "";
        if (planes.channels > 1 && options.channel == 0) {
            hint = " Or choose one of its channels, channel=1 to channel=" + planes.channels + ".";
        } else if (Planes.isPalette(image)) {
            hint = " Its colours come from a table; Image > Lookup Tables > Grays shows the values behind them.";
        }
        return new RetinaJException(image.getTitle() + ": " + error.getMessage() + hint, error);
    }
}
