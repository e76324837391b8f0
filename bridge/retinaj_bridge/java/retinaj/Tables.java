package retinaj;

import ij.ImagePlus;
import ij.measure.Calibration;
import ij.measure.ResultsTable;

/** Boxes, or their numbers, as rows of the Results table. */
final class Tables {
    private Tables() {}

    /**
     * Adds a row for each box, behind the rows that are there, or instead of them.
     *
     * <p>The columns are image, class, score, x_min, y_min, x_max and y_max in pixels; on stacks also channel (0 for all), slice (0
     * for all, of a projection) and frame, from 1; on calibrated images also the place of the top-left corner, the width, height
     * and area in the image's unit.
     */
    static void addBoxes(Detections found, ImagePlus image, DetectOptions options) {
        ResultsTable table = table(options);
        Calibration scale = image.getCalibration();
        String unit = scale.getUnits();
        for (Box box : found.boxes) {
            table.incrementCounter();
            table.addValue("image", image.getTitle());
            table.addValue("class", found.className(box));
            table.addValue("score", box.score);
            table.addValue("x_min", box.xMin);
            table.addValue("y_min", box.yMin);
            table.addValue("x_max", box.xMax);
            table.addValue("y_max", box.yMax);
            if (image.getStackSize() > 1) {
                table.addValue("channel", options.channel);
                addPlane(table, box.slice, box.frame);
            }
            if (measured(scale)) {
                table.addValue("x (" + unit + ")", scale.getX(box.xMin));
                table.addValue("y (" + unit + ")", scale.getY(box.yMin, image.getHeight()));
                table.addValue("width (" + unit + ")", box.width() * scale.pixelWidth);
                table.addValue("height (" + unit + ")", box.height() * scale.pixelHeight);
                table.addValue(
                        "area (" + unit + "\u00b2)", box.width() * scale.pixelWidth * box.height() * scale.pixelHeight);
            }
        }
        table.show("Results");
    }

    /** Adds a row for each plane: image, slice and frame on stacks, the number of boxes of each class, and of all. */
    static void addCounts(Detections found, ImagePlus image, DetectOptions options) {
        ResultsTable table = table(options);
        for (int[] plane : found.planes) {
            int[] counts = new int[found.classes.length];
            int total = 0;
            for (Box box : found.boxes) {
                if (box.slice == plane[0] && box.frame == plane[1]) {
                    counts[box.label]++;
                    total++;
                }
            }
            table.incrementCounter();
            table.addValue("image", image.getTitle());
            if (image.getStackSize() > 1) {
                table.addValue("channel", options.channel);
                addPlane(table, plane[0], plane[1]);
            }
            for (int label = 0; label < counts.length; label++) {
                table.addValue(found.classes[label], counts[label]);
            }
            table.addValue("total", total);
        }
        table.show("Results");
    }

    /** Whether the size of a pixel is known. Where it is not, files often have a pixel per inch, or per nothing. */
    private static boolean measured(Calibration scale) {
        String unit = scale.getUnit().trim();
        boolean whole = scale.pixelWidth == 1 && scale.pixelHeight == 1;
        return !unit.isEmpty() && !unit.startsWith("pixel") && !(whole && unit.equals("inch"));
    }

    private static void addPlane(ResultsTable table, int slice, int frame) {
        table.addValue("slice", slice);
        table.addValue("frame", frame);
    }

    private static ResultsTable table(DetectOptions options) {
        ResultsTable table = ResultsTable.getResultsTable();
        if (options.replace) {
            table.reset();
        }
        return table;
    }
}
