// RetinaJ: count objects in each frame of a time lapse, and plot the counts over time.
//
// In Fiji: open the time lapse, then Plugins > RetinaJ > Examples > Count over time.
// Without a window:
//   retinaj imagej count_over_time.ijm model=MODEL image=IMAGE output=FOLDER
//   (threshold=0.40 and channel=1 may follow; without output nothing is saved)
//
// The Results table gets a row for each frame: the number of objects of each class, and of all. Of a frame that is a
// z-stack, its brightest projection is searched. If the image has slices and no frames, its slices are taken for frames.

requires("1.53t");
checkNames(newArray("model", "image", "output", "threshold", "channel"));
model = option("model", "");
threshold = option("threshold", "0.40");
channel = option("channel", "");
openImage(option("image", ""));
requireEmpty();
if (inWindow()) {
    Dialog.create("RetinaJ: count over time");
    Dialog.addFile("Model (package.zip, or model.json of a model folder)", model);
    Dialog.addString("Threshold", threshold, 6);
    Dialog.addString("Channel (empty for all together)", channel, 6);
    Dialog.show();
    model = Dialog.getString();
    threshold = Dialog.getString();
    channel = Dialog.getString();
}
output = outputFolder(option("output", ""), newArray("counts.csv", "counts.png"));

image = getTitle();
Stack.getDimensions(width, height, channels, slices, frames);
interval = Stack.getFrameInterval();
if (slices * frames == 1)
    exit("The image " + image + " has one frame only; open a time lapse.");
options = "model=&model threshold=&threshold output=count";
if (frames > 1 && slices > 1)
    options = options + " projection=max";
if (channel != "")
    options = options + " channel=&channel";
run("RetinaJ Detect...", options);

// With the time between frames, if the image knows it; else with their numbers.
time = newArray(nResults);
axis = "frame";
if (interval > 0)
    axis = "time (s)";
for (row = 0; row < nResults; row++) {
    time[row] = row + 1;
    if (interval > 0)
        time[row] = row * interval;
    setResult(axis, row, time[row]);
}
updateResults();
classes = split(getInfo("retinaj.classes"), "\n");
colors = newArray("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"); // which the colour-blind can tell apart
most = 1;
for (row = 0; row < nResults; row++)
    most = maxOf(most, getResult("total", row));
Plot.create("Objects over time in " + image, axis, "objects");
legend = "all";
Plot.setLineWidth(2);
Plot.setColor("black");
counts = column("total");
Plot.add("line", time, counts);
if (classes.length > 1)
    for (k = 0; k < classes.length; k++) {
        Plot.setColor(colors[k % colors.length]);
        counts = column(classes[k]);
        Plot.add("line", time, counts);
        legend = legend + "\n" + classes[k];
    }
Plot.setLimits(time[0], time[time.length - 1], 0, 1.4 * most); // with room for the legend
Plot.setColor("black");
Plot.setLegend(legend, "top-right");
Plot.show();
if (output != "") {
    saveAs("PNG", output + "counts.png");
    saveAs("Results", output + "counts.csv");
}
print(nResults + " frames counted");


function column(name) {
    values = newArray(nResults);
    for (row = 0; row < nResults; row++)
        values[row] = getResult(name, row);
    return values;
}


// The value of NAME=VALUE among the arguments, which come one a line.
function option(name, otherwise) {
    lines = split(getArgument(), "\n");
    for (i = 0; i < lines.length; i++)
        if (startsWith(lines[i], name + "="))
            return substring(lines[i], lengthOf(name) + 1);
    return otherwise;
}

function checkNames(names) {
    lines = split(getArgument(), "\n");
    for (i = 0; i < lines.length; i++) {
        known = false;
        for (j = 0; j < names.length; j++)
            if (startsWith(lines[i], names[j] + "="))
                known = true;
        if (!known)
            exit("This macro does not know the argument \"" + lines[i] + "\"; it takes " + String.join(names, "=, ") + "=");
    }
}

function inWindow() {
    if (getArgument() != "" || getInfo("java.awt.headless") == "true")
        return false;
    return true;
}

// The ROI Manager and the Results table are used, so they must not hold anything of the user's.
function requireEmpty() {
    if (roiManager("count") > 0)
        exit("The ROI Manager holds ROIs; save them and empty it, then run this macro again.");
    if (nResults > 0)
        exit("The Results table holds results; save and clear them, then run this macro again.");
}

function openImage(path) {
    if (path != "")
        open(absolute(path));
    if (nImages == 0)
        exit("There is no image open; open one, then run this macro again.");
}

// ImageJ takes a relative path to be in the folder that was used last.
function absolute(path) {
    if (startsWith(path, "~/"))
        return getInfo("user.home") + substring(path, 1);
    if (startsWith(path, "/") || startsWith(path, "\\") || indexOf(path, ":") == 1)
        return path;
    return getInfo("user.dir") + File.separator + path;
}

// Makes the output folder, in which nothing is overwritten; "" stands for none.
function outputFolder(path, names) {
    if (path == "")
        return "";
    path = absolute(path);
    if (!endsWith(path, "/") && !endsWith(path, File.separator))
        path = path + File.separator;
    for (i = 0; i < names.length; i++)
        if (File.exists(path + names[i]))
            exit(path + names[i] + " exists already and is not overwritten; choose another output folder.");
    if (!File.exists(path))
        File.makeDirectory(path);
    if (!File.isDirectory(path))
        exit("The output folder could not be made: " + path);
    return path;
}
