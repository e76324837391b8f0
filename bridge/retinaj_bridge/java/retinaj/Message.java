package retinaj;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the plugin and the worker send each other: named fields, each a text or an array.
 *
 * <p>On the wire, all integers 32 bit and big-endian: the bytes "RTJ1", the number of bytes that follow, the number of fields;
 * for each field the number of bytes of its name, the name in UTF-8, the number of bytes of its value, the value. Numbers in
 * arrays are little-endian, as on the machines that this runs on. The worker's side is retinaj_bridge/wire.py.
 */
final class Message {
    private static final int MAGIC = 0x52544A31; // "RTJ1"
    private static final int MOST_FIELDS = 100_000;

    private final Map<String, byte[]> fields = new LinkedHashMap<>();

    Message put(String name, String value) {
        fields.put(name, value.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    Message put(String name, byte[] value) {
        fields.put(name, value);
        return this;
    }

    Message put(String name, double[] values) {
        ByteBuffer buffer = ByteBuffer.allocate(values.length * 8).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asDoubleBuffer().put(values);
        return put(name, buffer.array());
    }

    Message put(String name, int[] values) {
        ByteBuffer buffer = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asIntBuffer().put(values);
        return put(name, buffer.array());
    }

    /** Texts as the fields name.0, name.1 and so on, and their number as the field name. */
    Message put(String name, String[] values) {
        put(name, String.valueOf(values.length));
        for (int at = 0; at < values.length; at++) {
            put(name + "." + at, values[at]);
        }
        return this;
    }

    boolean has(String name) {
        return fields.containsKey(name);
    }

    /** The text of a field, or "" if there is no such field. */
    String text(String name) {
        return new String(bytes(name), StandardCharsets.UTF_8);
    }

    byte[] bytes(String name) {
        byte[] value = fields.get(name);
        return value == null ? new byte[0] : value;
    }

    double[] doubles(String name) {
        double[] values = new double[bytes(name).length / 8];
        ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN).asDoubleBuffer().get(values);
        return values;
    }

    int[] ints(String name) {
        int[] values = new int[bytes(name).length / 4];
        ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(values);
        return values;
    }

    String[] texts(String name) {
        String[] values = new String[has(name) ? Integer.parseInt(text(name)) : 0];
        for (int at = 0; at < values.length; at++) {
            values[at] = text(name + "." + at);
        }
        return values;
    }

    void write(DataOutputStream out) throws IOException {
        long total = 4;
        Map<byte[], byte[]> encoded = new LinkedHashMap<>();
        for (Map.Entry<String, byte[]> field : fields.entrySet()) {
            byte[] name = field.getKey().getBytes(StandardCharsets.UTF_8);
            encoded.put(name, field.getValue());
            total += 8L + name.length + field.getValue().length;
        }
        if (total > Integer.MAX_VALUE) {
            throw new IOException("the message is larger than 2 GB");
        }
        out.writeInt(MAGIC);
        out.writeInt((int) total);
        out.writeInt(encoded.size());
        for (Map.Entry<byte[], byte[]> field : encoded.entrySet()) {
            out.writeInt(field.getKey().length);
            out.write(field.getKey());
            out.writeInt(field.getValue().length);
            out.write(field.getValue());
        }
        out.flush();
    }

    /**
     * @param mostBytes how large it may be: memory is taken for what a message announces
     * @throws IOException if what comes is not a message, or a larger one
     */
    static Message read(DataInputStream in, int mostBytes) throws IOException {
        if (in.readInt() != MAGIC) {
            throw new IOException("the answer is not of a RetinaJ worker");
        }
        int total = in.readInt();
        if (total > mostBytes) {
            throw new IOException("the answer has " + total + " bytes");
        }
        long left = total - 4L;
        int count = in.readInt();
        if (count < 0 || count > MOST_FIELDS) {
            throw new IOException("the answer has " + count + " fields");
        }
        Message message = new Message();
        for (int at = 0; at < count; at++) {
            byte[] name = readBytes(in, left -= 4);
            byte[] value = readBytes(in, left -= 4 + name.length);
            left -= value.length;
            message.fields.put(new String(name, StandardCharsets.UTF_8), value);
        }
        return message;
    }

    private static byte[] readBytes(DataInputStream in, long left) throws IOException {
        int length = in.readInt();
        if (length < 0 || length > left) {
            throw new IOException("the answer is longer than it says");
        }
        byte[] value = new byte[length];
        in.readFully(value);
        return value;
    }
}
