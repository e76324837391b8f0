package retinaj;

import ij.IJ;
import ij.ImageJ;
import ij.text.TextWindow;
import java.awt.BorderLayout;
import java.awt.EventQueue;
import java.awt.FlowLayout;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import javax.swing.BorderFactory;
import javax.swing.JButton;
import javax.swing.JFrame;
import javax.swing.JPanel;
import javax.swing.JProgressBar;
import javax.swing.JTextArea;
import javax.swing.WindowConstants;

/** A small window that shows how far a training is. Closing it stops nothing. */
final class TrainingWindow {
    private static final int PARTS = 1000;
    private static final int LETTERS_A_LINE = 46;
    private static final String STOPPING = "stopping: this takes some seconds";

    private final Runnable stop;
    private final String name;
    private JFrame frame;
    private JTextArea words;
    private JProgressBar bar;
    private JButton stopButton;
    private String log = "";
    private boolean stopping;

    /**
     * @param name of the new model
     * @param stop what the button does
     */
    TrainingWindow(String name, Runnable stop) {
        this.name = name;
        this.stop = stop;
        EventQueue.invokeLater(this::open);
    }

    /** Shows how it is now. */
    void show(TrainingMonitor.State state) {
        EventQueue.invokeLater(() -> {
            log = state.log;
            words.setText(stopping && state.isRunning() ? STOPPING : state.words);
            bar.setIndeterminate(state.isRunning() && state.fraction < 0);
            bar.setValue((int) (PARTS * Math.max(state.fraction, 0)));
            if (!state.isRunning()) {
                frame.setTitle("RetinaJ: " + name + (state.state.equals("done") ? " is trained" : " " + state.state));
                stopButton.setEnabled(false);
            }
        });
    }

    /** Says why nothing more can be shown. */
    void lost(String reason) {
        EventQueue.invokeLater(() -> words.setText("The training goes on, but cannot be watched: " + reason));
    }

    private void open() {
        frame = new JFrame("RetinaJ: training " + name);
        words = new JTextArea("starting", 4, LETTERS_A_LINE);
        words.setEditable(false);
        words.setLineWrap(true);
        words.setWrapStyleWord(true);
        words.setOpaque(false);
        words.setFocusable(false); // or it would show a caret
        bar = new JProgressBar(0, PARTS);
        bar.setIndeterminate(true);
        stopButton = new JButton("Stop, and keep the best so far");
        stopButton.addActionListener(event -> {
            stopButton.setEnabled(false);
            stopping = true;
            words.setText(STOPPING);
            new Thread(stop, "RetinaJ stop").start();
        });
        JButton logButton = new JButton("Log");
        logButton.addActionListener(event -> showLog());
        JPanel buttons = new JPanel(new FlowLayout(FlowLayout.RIGHT, 6, 0));
        buttons.add(logButton);
        buttons.add(stopButton);
        JPanel panel = new JPanel(new BorderLayout(0, 8));
        panel.setBorder(BorderFactory.createEmptyBorder(10, 12, 10, 12));
        panel.add(bar, BorderLayout.NORTH);
        panel.add(words, BorderLayout.CENTER);
        panel.add(buttons, BorderLayout.SOUTH);
        frame.setDefaultCloseOperation(WindowConstants.DISPOSE_ON_CLOSE);
        frame.add(panel);
        frame.pack();
        ImageJ window = IJ.getInstance();
        if (window != null) {
            frame.setLocation(window.getX() + 60, window.getY() + window.getHeight() + 40);
        }
        frame.setVisible(true);
    }

    private void showLog() {
        try {
            String text = new String(Files.readAllBytes(Paths.get(log)), StandardCharsets.UTF_8);
            new TextWindow("Log of " + name, text, 800, 400);
        } catch (IOException error) {
            IJ.showMessage("RetinaJ", "There is no log yet.");
        }
    }
}
