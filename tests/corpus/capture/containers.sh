# Files of container runtimes: Docker's json-file (dockerd) and the CRI layout (conmon's k8s-file, by
# podman), of a container that prints JSON, text and a long line to both of its streams.
# The image is a BusyBox, imported from the file system.
mkdir -p root/{bin,proc,sys,dev,etc,tmp} dk run pod; cp /bin/busybox root/bin/ 2>/dev/null || cp /usr/bin/busybox root/bin/
for c in sh echo sleep seq; do ln -sf busybox root/bin/$c; done
cat >root/shop.sh <<'S'
for i in 1 2 3 4 5 6 7 8 9 10; do
  echo "{\"level\":\"info\",\"msg\":\"order $i placed\",\"total\":$i}"
  echo "INFO order $i placed" ; echo "ERROR payment $i declined: \"insufficient funds\"" >&2
done
printf 'a line '; sleep 1; echo 'in two parts'
for i in $(seq 1 300); do printf '%s' "long$i "; done; echo
S
mount -t tmpfs var /var/lib; mkdir -p /var/lib/docker /var/lib/containers
mkdir -p /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || true
dockerd --iptables=false --bridge=none --data-root /var/lib/docker --exec-root /tmp/app/run -H unix:///tmp/app/d.sock --storage-driver vfs >dockerd.log 2>&1 & ready test -S /tmp/app/d.sock || tail dockerd.log
export DOCKER_HOST=unix:///tmp/app/d.sock; ready docker version
tar -C root -c . | docker import - shop >/dev/null; docker run --network none --name shop shop /bin/sh /shop.sh >/dev/null 2>&1 || docker logs shop | tail -3
cat /var/lib/docker/containers/*/*-json.log >"$RAW/docker_json.log" || tail -5 dockerd.log
cp dockerd.log "$RAW/dockerd.log"
podman --storage-driver vfs run --rm=false --network none --cgroups=disabled --runtime crun --log-driver k8s-file --log-opt path=/tmp/app/cri.log --rootfs /tmp/app/root /bin/sh /shop.sh >/dev/null 2>pod.err || cat pod.err
cp cri.log "$RAW/cri.log"
