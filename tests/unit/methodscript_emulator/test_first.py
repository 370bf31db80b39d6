from drivers.transport.virtual import run_virtual
def test_it(bench):
    async def main(clock):
        async with bench(clock) as b:
            await b.host.send("t\n"); print(await b.host.lines(2))
            out = await b.host.run("""var p
var t
set_pgstat_chan 0
set_pgstat_mode 3
set_max_bandwidth 60
set_range ab 4
set_autoranging ab 4 4
cell_off
timer_start
meas_loop_ocp p 1 5
timer_get t
pck_start
pck_add t
pck_add p
pck_end
endloop
on_finished:
cell_off""")
            print(out)
            await b.host.send("Z\n"); print(await b.host.line())
    run_virtual(main)
