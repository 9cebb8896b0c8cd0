# A CPU image with the command rooftop, from the set-up commands of README.md:
#   docker build -t rooftop . && docker run -v $PWD:/data rooftop predict source=city.tif
FROM python:3.11-slim

# rasterio reads XML with the system's expat
RUN apt-get update && apt-get install -y --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/*

ENV VIRTUAL_ENV=/opt/rooftop PATH=/opt/rooftop/bin:$PATH
RUN python -m venv /opt/rooftop && pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu

COPY . /source
RUN cd /source && pip install --no-cache-dir -c constraints.txt . && rm -rf /source

WORKDIR /data
ENTRYPOINT ["rooftop"]
CMD ["--help"]
