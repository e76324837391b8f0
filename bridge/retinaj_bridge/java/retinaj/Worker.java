package retinaj;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;

/**
 * A connection to the Python process that holds the models.
 *
 * <p>Where Python hosts ImageJ, that is the same process, and Java's system properties say where it listens. The worker
 * answers a call with messages of the kind "progress", at least several a second, and one last "result" or "error". A call is
 * canceled by closing the connection.
 */
final class Worker implements Closeable {
    private static final int CONNECT_MILLISECONDS = 2_000;
    /** The worker reports several times a second, also while it computes: such a silence means that it hangs. */
    private static final int SILENCE_MILLISECONDS = 60_000;

    private final Socket socket;
    private final DataInputStream in;
    private final DataOutputStream out;

    private Worker(Socket socket) throws IOException {
        this.socket = socket;
        in = new DataInputStream(new BufferedInputStream(socket.getInputStream(), 1 << 16));
        out = new DataOutputStream(new BufferedOutputStream(socket.getOutputStream(), 1 << 16));
    }

    /**
     * The worker, started first if none runs.
     *
     * @throws RetinaJException if there is none and it does not start, with the reason
     * @throws CanceledException if the user canceled while it started
     */
    static Worker connect(Progress progress) throws RetinaJException, CanceledException {
        String port = System.getProperty("retinaj.worker.port");
        if (port == null) {
            throw new RetinaJException("RetinaJ's worker does not run.");
        }
        try {
            return open(Integer.parseInt(port), System.getProperty("retinaj.worker.token", ""), progress);
        } catch (IOException error) {
            throw new RetinaJException("RetinaJ's worker does not answer: " + error.getMessage() + ".", error);
        }
    }

    private static Worker open(int port, String token, Progress progress)
            throws IOException, RetinaJException, CanceledException {
        Socket socket = new Socket();
        try {
            socket.connect(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port), CONNECT_MILLISECONDS);
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(SILENCE_MILLISECONDS);
            Worker worker = new Worker(socket);
            worker.call("hello", new Message().put("token", token).put("version", Build.VERSION), progress);
            return worker;
        } catch (IOException | RetinaJException | CanceledException | RuntimeException error) {
            socket.close();
            throw error;
        }
    }

    /**
     * Let the worker do something.
     *
     * @param verb what: one of the worker's fixed verbs
     * @param request its arguments
     * @return what came of it
     * @throws RetinaJException if the worker refused or failed, with its reason; or was lost meanwhile
     * @throws CanceledException if `progress` asked for that; this connection is closed then
     */
    Message call(String verb, Message request, Progress progress) throws RetinaJException, CanceledException {
        try {
            request.put("verb", verb).write(out);
            while (true) {
                Message answer = Message.read(in);
                switch (answer.text("kind")) {
                    case "result":
                        return answer;
                    case "error":
                        throw new RetinaJException(answer.text("message"));
                    default:
                        if (answer.has("status")) {
                            progress.report(Double.parseDouble(answer.text("fraction")), answer.text("status"));
                        }
                        if (progress.isCanceled()) {
                            close();
                            throw new CanceledException();
                        }
                }
            }
        } catch (SocketTimeoutException error) {
            close();
            throw new RetinaJException("RetinaJ's worker has not answered for a minute. Run the command again.", error);
        } catch (EOFException error) {
            close();
            throw new RetinaJException("RetinaJ's worker ended in the middle of its work. Run the command again.", error);
        } catch (IOException error) {
            close();
            throw new RetinaJException("The connection to RetinaJ's worker broke: " + error.getMessage() + ".", error);
        }
    }

    @Override
    public void close() {
        try {
            socket.close();
        } catch (IOException error) {
            // It is of no use any more, which is what was wanted.
            return;
        }
    }
}
