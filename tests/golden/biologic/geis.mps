EC-LAB SETTING FILE

Number of linked techniques : 1

Device : VSP-300
Electrode connection : standard
Potential control : Ewe
Ewe ctrl range : min = -5,00 V, max = 5,00 V
Safety Limits :
	Ewe min = 2,40 V
	Ewe max = 4,30 V
	|I| = 1,000 mA
	|Q-Qo| = 5,556 mA.h
	for t > 10 ms
	Do not start on E overload
Comments : step-1
Cycle Definition : Charge/Discharge alternance
Turn to OCV between techniques

Technique : 1
Galvano Electrochemical Impedance Spectroscopy
Mode                Single sine         
Is                  0,000               
unit Is             mA                  
vs.                 <None>              
tIs (h:m:s)         0:00:0,0000         
record              0                   
dE (mV)             0,000               
dt (s)              1,000               
fi                  100,000             
unit fi             kHz                 
ff                  100,000             
unit ff             mHz                 
Nd                  6                   
Points              per decade          
spacing             Logarithmic         
Ia/Va               Ia                  
Ia                  2,000               
unit  Ia            µA                  
va pourcent         0,10                
pw                  0,10                
Na                  1                   
corr                0                   
E range min (V)     -5,000              
E range max (V)     5,000               
I Range             10 µA               
Bandwidth           5                   
nc cycles           0                   
goto Ns'            0                   
nr cycles           0                   
inc. cycle          0                   
