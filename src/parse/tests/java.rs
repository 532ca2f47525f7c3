//! The JVM's libraries and projects.

use super::check;

#[test]
fn layouts_of_projects() {
    let time = "timestamp=2026-11-23T13:32:42.123Z";
    let second = "timestamp=2026-11-23T13:32:42Z";
    for (format, line, expected) in [
        (
            "zookeeper",
            "2026-11-23 13:32:42,123 [myid:1] - INFO  [main:QuorumPeer@1] - up [now]",
            &[
                time,
                "level='INFO'",
                "message='up [now]'",
                "myid='1'",
                "thread='main:QuorumPeer@1'",
            ][..],
        ),
        (
            "zookeeper",
            "2026-11-23 13:32:42,123 - WARN  [QuorumPeer[myid=1]/0:0:0:0:2181:Fast@774] - out: 3",
            &[
                time,
                "level='WARN'",
                "message='out: 3'",
                "thread='QuorumPeer[myid=1]/0:0:0:0:2181:Fast@774'",
            ],
        ),
        (
            "kafka",
            "[2026-11-23 13:32:42,123] INFO [KafkaServer id=0] started (really) (kafka.server.KafkaServer)",
            &[
                time,
                "level='INFO'",
                "message='[KafkaServer id=0] started (really)'",
                "logger='kafka.server.KafkaServer'",
            ],
        ),
        (
            "hadoop",
            "2026-11-23 13:32:42,123 INFO [main] org.apache.hadoop.MRAppMaster: Created: x",
            &[
                time,
                "level='INFO'",
                "message='Created: x'",
                "thread='main'",
                "logger='org.apache.hadoop.MRAppMaster'",
            ],
        ),
        (
            "hadoop",
            "2026-11-23 13:32:42,123 ERROR org.apache.NameNode: down",
            &[
                time,
                "level='ERROR'",
                "message='down'",
                "logger='org.apache.NameNode'",
            ],
        ),
        (
            "hadoop",
            "261123 133242 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1",
            &[
                second,
                "level='INFO'",
                "message='PacketResponder 1'",
                "pid=148",
                "logger='dfs.DataNode$PacketResponder'",
            ],
        ),
        (
            "hadoop",
            "26/11/23 13:32:42 INFO SparkContext: Running",
            &[
                second,
                "level='INFO'",
                "message='Running'",
                "logger='SparkContext'",
            ],
        ),
    ] {
        check(format, true, line, expected);
    }
}

#[test]
fn layouts_of_libraries() {
    let time = "timestamp=2026-11-23T13:32:42.123Z";
    let second = "timestamp=2026-11-23T13:32:42Z";
    for (format, line, expected) in [
        (
            "java",
            "13:32:42.123 [main] INFO  com.example.App -- up",
            &[
                time,
                "level='INFO'",
                "message='up'",
                "thread='main'",
                "logger='com.example.App'",
            ][..],
        ),
        (
            "java",
            "0    [main] DEBUG a.B - up",
            &[
                "level='DEBUG'",
                "message='up'",
                "uptime_ms=0",
                "thread='main'",
                "logger='a.B'",
            ],
        ),
        (
            "spring",
            "2026-11-23T13:32:42.123Z  INFO 7 --- [shop] [exec-1] [803b448a-f9c1] c.e.Shop : up",
            &[
                time,
                "level='INFO'",
                "message='up'",
                "pid=7",
                "service='shop'",
                "thread='exec-1'",
                "trace_id='803b448a'",
                "span_id='f9c1'",
                "logger='c.e.Shop'",
            ],
        ),
        (
            "jul",
            "Nov 23, 2026 1:32:42 PM com.example.Main main",
            &[second, "logger='com.example.Main'", "method='main'"],
        ),
        (
            "jul",
            "Nov 23, 2026 1:32:42\u{202f}PM com.example.Main <init>",
            &[second, "logger='com.example.Main'", "method='<init>'"],
        ),
    ] {
        check(format, true, line, expected);
    }
}
