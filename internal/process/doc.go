// Package process runs other processes of this program: the regions of the demo, and what tests start and kill. Programs of
// others too, which the bench compares with.
//
//	P1. A process that was started is waited for, once, by one goroutine; Ended is closed after that.
//	P2. On Linux a child dies with its parent, even if that is killed: nothing is left behind.
//	P3. Of a child's output the last 64 KiB are kept: its memory is bounded, and a failure can show why.
package process
