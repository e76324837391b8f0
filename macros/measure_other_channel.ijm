// RetinaJ: find nuclei in one channel, and measure in each box how bright another channel is.
//
// In Fiji: open an image of several channels, then Plugins > RetinaJ > Examples > Measure other channel.
// Without a window:
//   retinaj imagej measure_other_channel.ijm model=MODEL image=IMAGE output=FOLDER search=1 measure=2
//   (threshold=0.40 may follow; without output nothing is saved)
//
// The Results table gets a row for each box: its class, score, corners and plane, and the mean, sum and maximum of the other
// channel's pixels in it, and their mean above the background, which is the median of the plane.

requires("1.53t");
checkNames(newArray("model", "image", "output", "search", "measure", "threshold"));
model = option("model", "");
threshold = option("threshold", "0.40");
search = option("search", "1");
measure = option("measure", "2");
openImage(option("image", ""));
requireEmpty();
if (inWindow()) {
    Dialog.create("RetinaJ: measure another channel");
    Dialog.addFile("Model (package.zip, or model.json of a model folder)", model);
    Dialog.addString("Threshold", threshold, 6);
    Dialog.addString("Search in channel", search, 6);
    Dialog.addString("Measure in channel", measure, 6);
    Dialog.show();
    model = Dialog.getString();
    threshold = Dialog.getString();
    search = Dialog.getString();
    measure = Dialog.getString();
}
Stack.getDimensions(width, height, channels, slices, frames);
if (!matches(measure, "[1-9][0-9]*") || parseInt(measure) > channels)
    exit("measure is " + measure + "; expected the number of a channel, 1 to " + channels + ".");
output = outputFolder(option("output", ""), newArray("measurements.csv", "RoiSet.zip"));

run("RetinaJ Detect...", "model=&model threshold=&threshold channel=&search");
setOption("Limit to threshold", false);
planeOfBackground = "";
for (row = 0; row < nResults; row++) {
    slice = 1;
    frame = 1;
    if (slices * frames * channels > 1) {
        slice = getResult("slice", row);
        frame = getResult("frame", row);
        Stack.setPosition(parseInt(measure), slice, frame);
    }
    if (planeOfBackground != slice + "," + frame) {
        planeOfBackground = slice + "," + frame;
        run("Select None");
        background = getValue("Median");
    }
    x = getResult("x_min", row);
    y = getResult("y_min", row);
    makeRectangle(round(x), round(y), maxOf(1, round(getResult("x_max", row)) - round(x)),
        maxOf(1, round(getResult("y_max", row)) - round(y)));
    getRawStatistics(pixels, mean, min, max);
    setResult("mean of channel " + measure, row, mean);
    setResult("sum of channel " + measure, row, mean * pixels);
    setResult("max of channel " + measure, row, max);
    setResult("mean above background", row, mean - background);
}
updateResults();
run("Select None");
if (output != "") {
    saveAs("Results", output + "measurements.csv");
    if (roiManager("count") > 0)
        roiManager("save", output + "RoiSet.zip");
}
print(nResults + " objects measured in channel " + measure);


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
