package retinaj;

import java.awt.Rectangle;
import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;

/** Arrays of samples as ImageJ keeps them: byte[] and short[] without sign, float[], and int[] of colour. */
final class Samples {
    private Samples() {}

    /** A copy of a part of a plane. */
    static Object crop(Object pixels, int width, Rectangle part) {
        Object copy = Array.newInstance(pixels.getClass().getComponentType(), Math.multiplyExact(part.width, part.height));
        for (int row = 0; row < part.height; row++) {
            System.arraycopy(pixels, (part.y + row) * width + part.x, copy, row * part.width, part.width);
        }
        return copy;
    }

    /** Red, green and blue. */
    static List<Object> ofRgb(int[] colours) {
        byte[][] parts = new byte[3][colours.length];
        for (int at = 0; at < colours.length; at++) {
            parts[0][at] = (byte) (colours[at] >> 16);
            parts[1][at] = (byte) (colours[at] >> 8);
            parts[2][at] = (byte) colours[at];
        }
        return Arrays.asList(parts[0], parts[1], parts[2]);
    }

    /**
     * Red, green and blue of numbers of colours.
     *
     * @param table 256 values of red, then of green, then of blue
     */
    static List<Object> ofPalette(byte[] numbers, byte[] table) {
        byte[][] parts = new byte[3][numbers.length];
        for (int colour = 0; colour < 3; colour++) {
            for (int at = 0; at < numbers.length; at++) {
                parts[colour][at] = table[256 * colour + (numbers[at] & 255)];
            }
        }
        return Arrays.asList(parts[0], parts[1], parts[2]);
    }

    /** Puts the brighter of two values into the first array, one by one. */
    static void brightest(Object into, Object other) {
        if (into instanceof byte[]) {
            byte[] left = (byte[]) into;
            byte[] right = (byte[]) other;
            for (int at = 0; at < left.length; at++) {
                left[at] = (left[at] & 255) >= (right[at] & 255) ? left[at] : right[at];
            }
        } else if (into instanceof short[]) {
            short[] left = (short[]) into;
            short[] right = (short[]) other;
            for (int at = 0; at < left.length; at++) {
                left[at] = (left[at] & 0xffff) >= (right[at] & 0xffff) ? left[at] : right[at];
            }
        } else {
            float[] left = (float[]) into;
            float[] right = (float[]) other;
            for (int at = 0; at < left.length; at++) {
                left[at] = left[at] >= right[at] ? left[at] : right[at];
            }
        }
    }

    /** The worker's word for what an array holds. */
    static String type(Object samples, boolean signed) {
        return samples instanceof byte[] ? "uint8" : samples instanceof float[] ? "float32" : signed ? "int16" : "uint16";
    }

    /**
     * Several arrays of one type behind each other, little-endian.
     *
     * @param signed whether 16-bit samples stand for signed values: ImageJ stores these shifted by 32768
     */
    static byte[] bytes(List<Object> parts, boolean signed) {
        int length = Array.getLength(parts.get(0));
        int size = parts.get(0) instanceof byte[] ? 1 : parts.get(0) instanceof short[] ? 2 : 4;
        byte[] bytes = new byte[Math.multiplyExact(Math.multiplyExact(length, size), parts.size())];
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int part = 0; part < parts.size(); part++) {
            ((java.nio.Buffer) buffer).position(part * length * size); // a Buffer's method in Java 8, overridden since 9
            if (size == 1) {
                buffer.put((byte[]) parts.get(part));
            } else if (size == 2) {
                short[] samples = (short[]) parts.get(part);
                for (int at = 0; signed && at < samples.length; at++) {
                    samples[at] ^= (short) 0x8000; // a copy: see `crop`
                }
                buffer.asShortBuffer().put(samples);
            } else {
                buffer.asFloatBuffer().put((float[]) parts.get(part));
            }
        }
        return bytes;
    }
}
