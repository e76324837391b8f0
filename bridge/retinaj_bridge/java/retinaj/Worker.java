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
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;

/**
 * A connection to the Python process that holds the models.
 *
 * <p>Where Python hosts ImageJ, that is the same process, and Java's system properties say where it listens. The worker
 * answers a call with messages of the kind "progress", at least several a second, and one last "result" or "error". A call is
 * canceled by closing the connection.
 */
final class Worker implements Closeable {
    private static final int CONNECT_MILLISECONDS = 10_000;
    /** A first start after an update compiles Python's files, and a virus scanner looks at each. */
    private static final int START_SECONDS = 120;
    private static final int START_PAUSE_MILLISECONDS = 30;
    /** The worker reports several times a second, also while it computes: such a silence means that it hangs. */
    private static final int SILENCE_MILLISECONDS = 60_000;

    /** Until it has proved that it is the worker, it may be any program. */
    private static final int MOST_HELLO_BYTES = 10_000;

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
        if (port != null) {
            try {
                String token = System.getProperty("retinaj.worker.token", "");
                return open(new WorkerFile(Integer.parseInt(port), token, "", Build.VERSION), progress);
            } catch (IOException error) {
                throw new RetinaJException("RetinaJ's worker does not answer: " + error.getMessage() + ".", error);
            }
        }
        WorkerFile found = WorkerFile.read();
        if (found != null && found.version.equals(Build.VERSION)) {
            try {
                return open(found, progress);
            } catch (IOException error) {
                // It has ended, or the computer was started anew: the file is a leftover.
                return started(found, progress);
            }
        }
        return started(found, progress);
    }

    /**
     * Start a worker, and wait until it listens.
     *
     * @param stale what the worker's file says of one that is not to be taken; may be null
     */
    private static Worker started(WorkerFile stale, Progress progress) throws RetinaJException, CanceledException {
        WorkerProcess process = WorkerProcess.start();
        long until = System.nanoTime() + START_SECONDS * 1_000_000_000L;
        progress.report(-1, "starting Python");
        while (System.nanoTime() < until) {
            if (progress.isCanceled()) {
                throw new CanceledException(); // it goes on starting, and is there the next time
            }
            int status = process.exitStatus(); // before the look at the file, which is there before it ends
            WorkerFile found = WorkerFile.read();
            if (found != null && (status == 0 || !found.isSame(stale))) {
                try {
                    return open(found, progress);
                } catch (IOException error) {
                    stale = found;
                }
            }
            if (status >= 0) {
                throw new RetinaJException(process.reason());
            }
            pause();
        }
        process.destroy();
        throw new RetinaJException("RetinaJ's worker has not started within " + START_SECONDS + " seconds. Is this computer "
                + "busy? Run the command again, or `retinaj fiji doctor`.");
    }

    private static void pause() throws CanceledException {
        try {
            Thread.sleep(START_PAUSE_MILLISECONDS);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new CanceledException();
        }
    }

    /** @throws IOException if there is no worker, or another program listens there */
    private static Worker open(WorkerFile file, Progress progress) throws IOException, RetinaJException, CanceledException {
        Socket socket = new Socket();
        try {
            socket.connect(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), file.port), CONNECT_MILLISECONDS);
            socket.setTcpNoDelay(true);
            socket.setSoTimeout(CONNECT_MILLISECONDS);
            Worker worker = new Worker(socket);
            Message hello = new Message().put("token", file.token).put("version", Build.VERSION);
            byte[] proof = worker.exchange("hello", hello, MOST_HELLO_BYTES, progress).bytes("proof");
            if (!file.proof.isEmpty() && !MessageDigest.isEqual(proof, file.proof.getBytes(StandardCharsets.UTF_8))) {
                throw new IOException("another program listens there");
            }
            socket.setSoTimeout(SILENCE_MILLISECONDS);
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
            return exchange(verb, request, Integer.MAX_VALUE, progress);
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

    private Message exchange(String verb, Message request, int mostBytes, Progress progress)
            throws IOException, RetinaJException, CanceledException {
        request.put("verb", verb).write(out);
        while (true) {
            Message answer = Message.read(in, mostBytes);
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
