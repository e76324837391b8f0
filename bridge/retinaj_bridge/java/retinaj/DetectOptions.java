package retinaj;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** What "RetinaJ Detect..." searches, with what, and where the boxes go: checked, from a macro or the dialog. */
final class DetectOptions {
    static final String USAGE = "run(\"" + Detect.COMMAND + "\", \"model=[/path/of/the/model] threshold=0.40 overlap=0.50\")";

    // No name is the end of another: ImageJ's own functions find an option by the end of its name.
    private static final List<String> VALUES = Arrays.asList(
            "model", "threshold", "overlap", "channel", "slices", "frames", "projection", "tiles", "region", "output", "file",
            "name");
    private static final List<String> FLAGS = Arrays.asList("groups", "replace");

    /** A model folder or a package. */
    final String model;
    /** The lowest score that is kept. */
    final double threshold;
    /** NMS drops the lower-scored of two boxes of a class whose IoU is above it; NaN for the model's own. */
    final double overlap;
    /** The channel to search, from 1; 0 takes all channels together. */
    final int channel;
    final Span slices;
    final Span frames;
    /** Search the brightest of the slices, pixel by pixel, instead of each slice. */
    final boolean project;
    /** "auto", "none", or the side of a tile in pixels. */
    final String tiles;
    /** Search only in the current selection. */
    final boolean inSelection;
    final Set<Output> outputs;
    /** Where a RoiSet.zip goes; "" if there is none to be written. */
    final String file;
    final NameTemplate name;
    /** Put the entries of a class into the ImageJ group of its number. */
    final boolean groups;
    /** Empty the ROI Manager, the table and the overlay first, instead of adding to them. */
    final boolean replace;

    /**
     * Checks the options.
     *
     * @throws RetinaJException quoting the first that is missing or wrong
     */
    DetectOptions(MacroOptions given) throws RetinaJException {
        model = given.path("model");
        if (model.isEmpty()) {
            throw new RetinaJException("The model is missing; name a model folder or a package, as in " + USAGE + ".");
        }
        threshold = given.fraction("threshold", Build.THRESHOLD);
        overlap = given.fraction("overlap", Double.NaN);
        channel = given.text("channel", "").isEmpty() ? 0 : given.wholeNumber("channel", 0, 1, "the number of a channel, from 1");
        slices = Span.parse("slices", given.text("slices", "all"));
        // Who wants the current slice of a time series of stacks wants the plane that is shown.
        frames = Span.parse("frames", given.text("frames", slices == Span.CURRENT ? "current" : "all"));
        project = given.choice("projection", "none", "max").equals("max");
        tiles = tiles(given.text("tiles", "auto"));
        inSelection = given.choice("region", "image", "selection").equals("selection");
        outputs = Output.parse(given.text("output", Output.DEFAULT));
        file = given.path("file");
        if (outputs.contains(Output.ZIP) && file.isEmpty()) {
            throw new RetinaJException("output has zip, but no file to write: add file=[/path/of/the/RoiSet.zip].");
        }
        if (!outputs.contains(Output.ZIP) && !file.isEmpty()) {
            throw new RetinaJException("file is " + file + ", but output has no zip to write there: add zip to output.");
        }
        name = new NameTemplate(given.text("name", NameTemplate.DEFAULT));
        groups = given.has("groups");
        replace = given.has("replace");
    }

    /** The options of the macro or script that called. */
    static DetectOptions ofMacro() throws RetinaJException {
        return new DetectOptions(MacroOptions.ofMacro(Detect.COMMAND, VALUES, FLAGS, USAGE));
    }

    /** As `ofMacro`, of a text. */
    static DetectOptions parse(String text) throws RetinaJException {
        return new DetectOptions(MacroOptions.parse(text, Detect.COMMAND, VALUES, FLAGS, USAGE));
    }

    /** The options as the recorder writes them: those that are not the default. */
    MacroOptions recorded() {
        Span usualFrames = slices == Span.CURRENT ? Span.CURRENT : Span.ALL;
        return new MacroOptions()
                .put("model", model)
                .put("threshold", MacroOptions.number(threshold))
                .put("overlap", Double.isNaN(overlap) ? "" : MacroOptions.number(overlap))
                .put("channel", channel == 0 ? "" : String.valueOf(channel))
                .put("slices", slices == Span.ALL ? "" : slices.toString())
                .put("frames", frames == usualFrames ? "" : frames.toString())
                .put("projection", project ? "max" : "")
                .put("tiles", tiles.equals("auto") ? "" : tiles)
                .put("region", inSelection ? "selection" : "")
                .put("output", outputs.equals(Output.DEFAULTS) ? "" : Output.words(outputs))
                .put("file", file)
                .put("name", name.toString().equals(NameTemplate.DEFAULT) ? "" : name.toString())
                .flag("groups", groups)
                .flag("replace", replace);
    }

    /** As a macro writes them. */
    String line() {
        return recorded().line("model", "file");
    }

    /** Lets the recorder write them. */
    void record() {
        recorded().record(Detect.COMMAND, "model", "file");
    }

    private static String tiles(String text) throws RetinaJException {
        if (text.equals("auto") || text.equals("none")) {
            return text;
        }
        return String.valueOf(MacroOptions.wholeNumber("tiles", text, 1, "auto, none, or the side of a tile in pixels"));
    }

    /** Where boxes can go. */
    enum Output {
        MANAGER, TABLE, OVERLAY, ZIP, MASK, COUNT;

        static final String DEFAULT = "manager,table";
        static final Set<Output> DEFAULTS = EnumSet.of(MANAGER, TABLE);

        /** Reads "manager,table" and the like. */
        static Set<Output> parse(String text) throws RetinaJException {
            Set<Output> chosen = EnumSet.noneOf(Output.class);
            for (String word : text.split(",", -1)) {
                Output known = null;
                for (Output each : values()) {
                    known = each.name().equalsIgnoreCase(word.trim()) ? each : known;
                }
                if (known == null) {
                    throw new RetinaJException("output is '" + text + "'; expected one or several of "
                            + words(EnumSet.allOf(Output.class)).replace(",", ", ") + ", with commas between them.");
                }
                chosen.add(known);
            }
            if (chosen.contains(TABLE) && chosen.contains(COUNT)) {
                throw new RetinaJException("output is '" + text + "', but table writes a row for each box into the Results, and "
                        + "count a row for each image; choose one of them.");
            }
            return chosen;
        }

        static String words(Set<Output> outputs) {
            return outputs.stream().map(each -> each.name().toLowerCase(Locale.ROOT)).collect(Collectors.joining(","));
        }
    }
}
