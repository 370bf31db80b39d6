"""BioLogic potentiostats: EC-Lab by OLE-COM, or the EC-Lab Development Package's DLL on channels that are ours."""
