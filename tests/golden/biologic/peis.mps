EC-LAB SETTING FILE

Number of linked techniques : 1

Device : SP-150
CE vs. WE compliance from -10 V to 10 V
Electrode connection : standard
Potential control : Ewe
Ewe ctrl range : min = -5.00 V, max = 5.00 V
Safety Limits :
	Ewe min = 2.40 V
	Ewe max = 4.30 V
	|I| = 1.000 mA
	|Q-Qo| = 5.556 mA.h
	for t > 10 ms
	Do not start on E overload
Comments : step-1
Cycle Definition : Charge/Discharge alternance
Turn to OCV between techniques

Technique : 1
Potentio Electrochemical Impedance Spectroscopy
Mode                Single sine         
E (V)               3.7000              
vs.                 Ref                 
tE (h:m:s)          0:00:0.0000         
record              0                   
dI                  0.000               
unit dI             mA                  
dt (s)              1.000               
fi                  50.000              
unit fi             kHz                 
ff                  1.000               
unit ff             Hz                  
Nd                  20                  
Points              from fi to ff       
spacing             Logarithmic         
Va (mV)             10.000              
pw                  0.10                
Na                  1                   
corr                0                   
E range min (V)     -5.000              
E range max (V)     5.000               
I Range             1 mA                
Bandwidth           5                   
nc cycles           0                   
goto Ns'            0                   
nr cycles           0                   
inc. cycle          0                   
