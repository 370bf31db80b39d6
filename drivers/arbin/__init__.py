"""Arbin cyclers: MITS Pro's CTI obeys by binary frames over TCP."""
