"""Find rooftops: a Processing script for QGIS 3.22 and later that calls the installed program `rooftop`.

To add it: Processing toolbox, Python button, "Add Script to Toolbox". QGIS and rooftop may use different Pythons: the
script only starts the program, reads its progress, and loads the roofs. See qgis.md.
"""

import os
import queue
import re
import shlex
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

PROGRAM = "rooftop predict"
OF_QGIS = (
    "PYTHONHOME",
    "PYTHONPATH",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "PROJ_DATA",
    "PROJ_LIB",
)  # not for other Pythons
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and cursor movements of a terminal
_BAR = re.compile(r"[━╸╺-]\s+(\d+)%")  # a progress bar and its number; other lines may have a percentage, too


class FindRooftops(QgsProcessingAlgorithm):
    """A raster layer -> roofs, as `rooftop predict source=...` writes them."""

    def name(self) -> str:
        """Return the name for scripts."""
        return "findrooftops"

    def displayName(self) -> str:  # noqa: N802
        """Return the name in the toolbox."""
        return "Find rooftops"

    def group(self) -> str:
        """Return the name of the group in the toolbox."""
        return "rooftop"

    def groupId(self) -> str:  # noqa: N802
        """Return the name of the group for scripts."""
        return "rooftop"

    def shortHelpString(self) -> str:  # noqa: N802
        """Return the help beside the dialog."""
        return (
            "Finds the roofs in an aerial or satellite picture and loads them as a layer. The picture must be a file "
            "with a place on the map; save layers of web services first. Best at 0.2 to 0.65 m per pixel.\n\n"
            "Program: how rooftop is started on this computer, e.g. C:/rooftop/Scripts/rooftop.exe predict\n"
            "Further settings: as in a terminal, e.g. threshold=0.5 tta=flips polygons=exact\n"
            "A cancelled run goes on where it stopped when it is started again."
        )

    def createInstance(self) -> "FindRooftops":  # noqa: N802
        """Return a new instance, as QGIS wants it."""
        return FindRooftops()

    def initAlgorithm(self, config: Any = None) -> None:  # noqa: N802
        """Name the inputs and outputs."""
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Picture"))
        run = QgsProcessingParameterFile(
            "RUN", "Run folder (empty: the included weights)", QgsProcessingParameterFile.Folder, optional=True
        )
        decimal = QgsProcessingParameterNumber.Double
        threshold = QgsProcessingParameterNumber(
            "THRESHOLD", "Threshold (empty: that of the weights)", decimal, optional=True, minValue=0.01, maxValue=0.99
        )
        program = QgsProcessingParameterString("PROGRAM", "Program", PROGRAM)
        more = QgsProcessingParameterString("MORE", "Further settings", "", optional=True)
        for parameter in (run, threshold, program, more):
            if parameter in (program, more):
                parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
            self.addParameter(parameter)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Folder of the files"))
        self.addOutput(QgsProcessingOutputVectorLayer("ROOFS", "Roofs", QgsProcessing.TypeVectorPolygon))

    def processAlgorithm(  # noqa: N802
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the program and load the roofs."""
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        settings = {"source": file_of(self.parameterAsRasterLayer(parameters, "INPUT", context))}
        if run := self.parameterAsString(parameters, "RUN", context):
            settings["run"] = run
        if parameters.get("THRESHOLD") is not None:
            settings["threshold"] = str(self.parameterAsDouble(parameters, "THRESHOLD", context))
        settings["hydra.run.dir"] = str(folder)
        settings["unfinished"] = str(Path(QgsApplication.qgisSettingsDirPath(), "rooftop"))  # resumes after a stop
        more = words(self.parameterAsString(parameters, "MORE", context))
        program = words(self.parameterAsString(parameters, "PROGRAM", context))
        run_program([*program, *map(override, settings, settings.values()), *more], feedback)
        if feedback.isCanceled():
            return {}
        roofs = folder / "roofs.gpkg"
        if not roofs.is_file():
            raise QgsProcessingException(f"The picture has no place on the map; its files are in {folder}.")
        details = QgsProcessingContext.LayerDetails("roofs", context.project(), "ROOFS")
        context.addLayerToLoadOnCompletion(str(roofs), details)
        return {"OUTPUT": str(folder), "ROOFS": str(roofs)}


def file_of(layer: Any) -> str:
    """Return the file of a raster layer.

    Raises:
        QgsProcessingException: it comes from a web service.
    """
    path = layer.source().partition("|")[0]
    if layer.providerType() != "gdal" or not Path(path).is_file():
        raise QgsProcessingException(f"{layer.name()} is not a file; save it first: Export > Save As, raw data.")
    return path


def override(key: str, value: str) -> str:
    """Write a setting as rooftop reads it; quoted, so that spaces, commas and brackets stay as they are."""
    plain = value.replace("\\", "/") if os.name == "nt" else value
    return key + "='" + plain.replace("'", "\\'") + "'" if key != "threshold" else f"{key}={value}"


def words(text: str) -> list[str]:
    """Split a command line; on Windows a backslash is part of a path."""
    parts = shlex.split(text, posix=os.name != "nt")
    return [part.strip('"') for part in parts] if os.name == "nt" else parts


def run_program(command: list[str], feedback: QgsProcessingFeedback) -> None:
    """Run a program, show its progress and its lines, and stop it if the user cancels.

    Raises:
        QgsProcessingException: the program is missing or failed; with its last line, which says why.
    """
    environment = {name: value for name, value in os.environ.items() if name not in OF_QGIS}
    environment |= {
        "FORCE_COLOR": "1",
        "COLUMNS": "100",
        "PYTHONUNBUFFERED": "1",
    }  # a bar while it runs, as in a terminal
    feedback.pushCommandInfo(shlex.join(command))
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise QgsProcessingException(
            f"{command[0]} cannot be started ({error.strerror}); name it under Program, with its whole path."
        ) from error
    with process:
        last = _follow(process, feedback)
    if process.returncode and not feedback.isCanceled():
        raise QgsProcessingException(last)


def _follow(process: "subprocess.Popen[str]", feedback: QgsProcessingFeedback) -> str:
    """Hand on the output until its end; return the last line that is no progress bar."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    said = deque([""], maxlen=1)
    while True:
        if feedback.isCanceled():
            process.terminate()
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            continue
        if line is None:
            return said[0]
        if bar := _BAR.search(line):
            feedback.setProgress(int(bar[1]))
        elif line:
            feedback.pushInfo(line)
            said.append(line)


def _read(pipe: Any, lines: "queue.Queue[str | None]") -> None:
    for line in pipe:  # a carriage return ends a line, too
        lines.put(_CODES.sub("", line).strip())
    lines.put(None)
