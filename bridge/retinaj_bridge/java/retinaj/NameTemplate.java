package retinaj;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How entries of the ROI Manager are named: text with {class}, {score} and more in it. */
final class NameTemplate {
    static final String DEFAULT = "{class} {score}";
    private static final Pattern PLACE = Pattern.compile("\\{([^{}]*)\\}");

    private final String text;

    /** @throws RetinaJException for {something else} */
    NameTemplate(String text) throws RetinaJException {
        this.text = text;
        Map<String, String> known = values(new Box(0, 0, 1, 1, 1, 0, 1, 1), "", "", "", 1);
        Matcher place = PLACE.matcher(text);
        while (place.find()) {
            if (!known.containsKey(place.group(1))) {
                throw new RetinaJException("name is '" + text + "', but there is no " + place.group() + "; it knows {"
                        + String.join("}, {", known.keySet()) + "}.");
            }
        }
    }

    /**
     * The name of one entry.
     *
     * @param number of the box in this run, from 1
     */
    String name(Box box, String className, String image, String model, int number) {
        Map<String, String> values = values(box, className, image, model, number);
        Matcher place = PLACE.matcher(text);
        StringBuffer name = new StringBuffer();
        while (place.find()) {
            place.appendReplacement(name, Matcher.quoteReplacement(values.get(place.group(1))));
        }
        return place.appendTail(name).toString();
    }

    @Override
    public String toString() {
        return text;
    }

    /** A score as Python writes it, so that names are the same everywhere: half to even, from the exact value. */
    static String score(double score, int digits) {
        return new BigDecimal(score).setScale(digits, RoundingMode.HALF_EVEN).toPlainString();
    }

    private static Map<String, String> values(Box box, String className, String image, String model, int number) {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("class", className);
        values.put("score", score(box.score, 2));
        values.put("number", String.valueOf(number));
        values.put("image", image);
        values.put("model", model);
        values.put("slice", String.valueOf(box.slice));
        values.put("frame", String.valueOf(box.frame));
        return values;
    }
}
