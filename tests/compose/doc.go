// Package compose runs docker-compose.yml, with deploy/Dockerfile as it stands, where no image can be pulled.
//
//		make compose        # as root, with dockerd, docker-compose, iptables, ip, nsenter and busybox on the machine
//
//	 1. The Docker engine is the test's own: its data in a temporary folder, its networks in a network namespace of its own, which ends
//	    with it. Nothing of the machine's network, and no engine that runs there, is touched.
//	 2. Images that would be pulled are made from scratch: that of Go out of this machine's Go, this module's dependencies and busybox,
//	    that of MinIO out of its Go module (package tests/s3/server). The images of Gnomon and etcd are built by deploy/Dockerfile.
//	 3. What is asserted is what the file promises: all is healthy; each agent is reached from the host under the address that it
//	    tells; region a dies whole; the flip loses nothing; a group goes on at b at its committed offset; a comes back fenced.
package compose
