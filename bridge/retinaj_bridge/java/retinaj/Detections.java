package retinaj;

import java.awt.Color;
import java.util.ArrayList;
import java.util.List;

/** What a model found on an image. */
final class Detections {
    final String model;
    final double threshold;
    /** The classes that the model knows, and their colours. */
    final String[] classes;
    final Color[] colours;
    /** Highest score first in each plane, planes in their order. */
    final List<Box> boxes = new ArrayList<>();
    /** The planes that were searched, {slice, frame} from 1; slice 0 for all slices, of a projection. */
    final List<int[]> planes = new ArrayList<>();
    /** If there were as many boxes as the model can give: how to say so. Else empty. */
    String limitWords = "";

    /** @param described what the worker answers about a model */
    Detections(Message described, double threshold) {
        this.threshold = threshold;
        model = described.text("name");
        classes = described.texts("classes");
        colours = new Color[classes.length];
        String[] numbers = described.texts("colours");
        for (int label = 0; label < classes.length; label++) {
            String[] rgb = numbers[label].split(",");
            colours[label] = new Color(Integer.parseInt(rgb[0]), Integer.parseInt(rgb[1]), Integer.parseInt(rgb[2]));
        }
    }

    String className(Box box) {
        return classes[box.label];
    }
}
