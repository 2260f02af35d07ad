package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/process"
)

//go:embed java/pom.xml
var kafkaPOM []byte

const kafkaName = "Apache Kafka 4.3.1"

// java is a process of a Java virtual machine.
type java struct{ *process.Process }

// kill ends it by SIGKILL and waits; a second time it does nothing.
func (j java) kill() { _ = j.Kill() } // it may be gone

// kafka is Kafka's programs, as Maven gets them.
type kafka struct {
	p         *place
	classpath string
}

// kafka gets the programs, once; errLeftOut where that cannot be done.
func (p *place) kafka(ctx context.Context) (*kafka, error) {
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, errors.Join(errLeftOut, fmt.Errorf("there is no %s (apt-get install maven default-jdk-headless): %w", tool, err))
		}
	}
	dir, err := toolsDir("bench-kafka")
	if err != nil {
		return nil, err
	}
	pom, list := filepath.Join(dir, "pom.xml"), filepath.Join(dir, "classpath")
	raw, err := os.ReadFile(list)
	if there, perr := os.ReadFile(pom); err != nil || perr != nil || !bytes.Equal(there, kafkaPOM) {
		if err := os.WriteFile(pom, kafkaPOM, 0o644); err != nil {
			return nil, err
		}
		mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile="+list)
		mvn.Dir = dir
		if out, err := mvn.CombinedOutput(); err != nil {
			return nil, errors.Join(errLeftOut, fmt.Errorf("get Kafka by Maven: %w: %s", err, out))
		}
		if raw, err = os.ReadFile(list); err != nil {
			return nil, err
		}
	}
	return &kafka{p: p, classpath: strings.TrimSpace(string(raw))}, nil
}

// start runs a class. args: the class, and its own.
func (k *kafka) start(name, dir string, args ...string) (java, error) {
	cmd := exec.Command("java", append([]string{"-Xmx" + javaMemory, "-cp", k.classpath}, args...)...)
	cmd.Dir = dir
	p, err := process.StartCommand(name, cmd)
	if err != nil {
		return java{}, err
	}
	k.p.b.javas = append(k.p.b.javas, java{p})
	return java{p}, nil
}

// javaMemory is the heap that Kafka's own script gives a broker.
const javaMemory = "1g"

// broker is one node that is broker and controller, with data of its own.
type broker struct {
	java
	addr string
}

// system is the broker as the load sees it.
func (x *broker) system() system {
	return system{kafka: []string{x.addr}, programs: []programs{{name: "broker", all: []program{x.java}}}}
}

// broker starts one. What clients wait for only because of a default that is meant for large clusters is set to nothing.
func (k *kafka) broker(ctx context.Context, name string) (*broker, error) {
	dir, err := os.MkdirTemp(k.p.dir, "kafka-"+name+"-")
	if err != nil {
		return nil, err
	}
	ports, err := k.p.b.freePorts(2)
	if err != nil {
		return nil, err
	}
	addr, controller, file := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], filepath.Join(dir, "server.properties")
	err = os.WriteFile(file, fmt.Appendf(nil, `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=%[3]s
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
`, addr, controller, filepath.Join(dir, "log")), 0o644)
	if err != nil {
		return nil, err
	}
	format := exec.CommandContext(ctx, "java", "-cp", k.classpath, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", file)
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format Kafka's storage: %w: %s", err, out)
	}
	j, err := k.start("Kafka broker "+name, dir, "kafka.Kafka", file)
	if err != nil {
		return nil, err
	}
	return &broker{java: j, addr: addr}, j.awaitKafka(ctx, addr)
}

func (j java) awaitKafka(ctx context.Context, addr string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	for end := time.Now().Add(2 * settle); ; {
		pctx, cancel := context.WithTimeout(ctx, time.Second)
		err := cl.Ping(pctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-j.Ended():
			err = errors.Join(err, errors.New("it has ended"))
		default:
			if time.Now().Before(end) {
				continue
			}
		}
		return fmt.Errorf("%s does not answer: %w: %s", j.Name, err, j.Log())
	}
}

// mirror runs MirrorMaker 2 from one broker to another, with the names of the topics kept, and with what it does each so many
// seconds or minutes by default done each second.
func (k *kafka) mirror(from, to *broker) (java, error) {
	dir, err := os.MkdirTemp(k.p.dir, "mirror-")
	if err != nil {
		return java{}, err
	}
	file := filepath.Join(dir, "mm2.properties")
	err = os.WriteFile(file, fmt.Appendf(nil, `clusters=a,b
a.bootstrap.servers=%s
b.bootstrap.servers=%s
a->b.enabled=true
b->a.enabled=false
a->b.topics=.*
a->b.groups=.*
replication.policy.class=org.apache.kafka.connect.mirror.IdentityReplicationPolicy
replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
offset-syncs.topic.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
config.storage.replication.factor=1
tasks.max=4
refresh.topics.interval.seconds=1
refresh.groups.interval.seconds=1
sync.group.offsets.enabled=true
sync.group.offsets.interval.seconds=1
emit.checkpoints.interval.seconds=1
`, from.addr, to.addr), 0o644)
	if err != nil {
		return java{}, err
	}
	return k.start("MirrorMaker", dir, "org.apache.kafka.connect.mirror.MirrorMaker", file)
}
