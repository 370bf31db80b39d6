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
Modulo Bat
Ns                  0                   
ctrl_type           CC                  
Apply I/C           I                   
current/potential   current             
ctrl1_val           -0,500              
ctrl1_val_unit      mA                  
ctrl1_val_vs        <None>              
ctrl2_val                               
ctrl2_val_unit                          
ctrl2_val_vs                            
ctrl3_val                               
ctrl3_val_unit                          
ctrl3_val_vs                            
N                   0,00                
charge/discharge    Charge              
charge/discharge_1  Charge              
Apply I/C_1         I                   
N1                  0,00                
ctrl4_val                               
ctrl4_val_unit                          
ctrl5_val                               
ctrl5_val_unit                          
ctrl_tM             0                   
ctrl_seq            0                   
ctrl_repeat         0                   
ctrl_trigger        Falling Edge        
ctrl_TO_t           0,000               
ctrl_TO_t_unit      d                   
ctrl_Nd             6                   
ctrl_Na             2                   
ctrl_corr           0                   
lim_nb              2                   
lim1_type           Time                
lim1_comp           >                   
lim1_Q                                  
lim1_value          1800,000            
lim1_value_unit     s                   
lim1_action         Next sequence       
lim1_seq            1                   
lim2_type           Ewe                 
lim2_comp           <                   
lim2_Q                                  
lim2_value          2,500               
lim2_value_unit     V                   
lim2_action         Next sequence       
lim2_seq            1                   
rec_nb              1                   
rec1_type           Time                
rec1_value          1,000               
rec1_value_unit     s                   
E range min (V)     -5,000              
E range max (V)     5,000               
I Range             1 mA                
I Range min         Unset               
I Range max         Unset               
I Range init        Unset               
auto rest           1                   
Bandwidth           5                   
