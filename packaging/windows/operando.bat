@echo off
rem Runs the program of this folder with the Python of this folder; nothing is installed and nothing outside is changed.
setlocal
set "PYTHONHOME="
set "PYTHONPATH="
set "PYTHONNOUSERSITE=1"
set "PYTHONUTF8=1"
if not defined OPERANDO_HOME set "OPERANDO_HOME=%~dp0home"
"%~dp0python\python.exe" -m orchestrator %*
exit /b %ERRORLEVEL%
