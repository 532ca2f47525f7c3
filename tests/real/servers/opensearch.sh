#!/usr/bin/env bash
# A real OpenSearch node (2.19, without the security plugin) on loopback.
#   opensearch.sh fetch              the jars (45 MB), once, by Maven
#   opensearch.sh start [PORT] [setting=value...]   PORT 0 or none: a free one.
#                                    Prints 127.0.0.1:PORT
#   opensearch.sh stop PORT [keep]   keep: keep the data, for a restart
#   opensearch.sh kill9 PORT         crash it, keep the data
#   opensearch.sh log PORT | rss PORT (MiB)
# The core only: _bulk, index templates, data streams, search, aliases. Not there:
# scripts, ISM, security, ingest processors.
# Environment: OPENSEARCH_HEAP (default 512m).
# Needs: javac and java (17 or newer), mvn for fetch, curl.
NAME=opensearch VERSION=${OPENSEARCH_VERSION:-2.19.3} PACKAGE=org.opensearch
LOG4J=2.21.0 HEAP=${OPENSEARCH_HEAP:-512m}
. "$(dirname "${BASH_SOURCE[0]}")/search_node.sh"
